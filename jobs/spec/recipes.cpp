#include "jobs/spec/recipes.h"

#include <optional>
#include <set>

#include "base/check.h"
#include "jobs/spec/document.h"
#include "jobs/spec/nearest.h"

namespace paddock::spec {
namespace {

struct RecipeFile {
  std::string about;
  std::string kind;
  std::string parent;
  Json with = Json::object();
};

Rule<Json> map_rule() {
  Rule<Json> rule;
  rule.allowed = "a map of options";
  rule.schema = Json{{"type", "object"}};
  rule.read = [](const Json& json) { return json.is_object() ? std::optional(json) : std::nullopt; };
  return rule;
}

const OptionTable<RecipeFile>& file_table() {
  static const auto table =
      OptionTable<RecipeFile>()
          .required("about", &RecipeFile::about, "what it is for, one line")
          .optional("kind", &RecipeFile::kind, OneOf(job_kind_names()), "of the jobs it is for")
          .optional("parent", &RecipeFile::parent, "the recipe that it changes")
          .required("with", &RecipeFile::with, map_rule(), "options")
          .check([](const RecipeFile& file, Problems& problems) {
            if (file.kind.empty() && file.parent.empty())
              problems.push_back({"kind", "is missing, must be given where there is no parent"});
          });
  return table;
}

Result<RecipeFile> read_file(const std::string& name, const std::string& text) {
  const std::string file = name + ".yaml";
  TRY_ASSIGN(const Document document, read_document(text, file), "recipe " + name);
  auto read = file_table().parse(document.value);
  if (read) return *std::move(read);
  const Problem& problem = read.error().front();
  return fail(Code::kInvalid, file + ":" + std::to_string(document.line_of(problem.path)) + ": " +
                                  problem.path + ": " + problem.message);
}

// From the recipe up to the one without a parent.
Result<std::vector<std::string>> line_of_parents(const std::string& name,
                                                 const std::map<std::string, RecipeFile>& files) {
  std::vector<std::string> line{name};
  std::set<std::string> seen{name};
  while (true) {
    const std::string& parent = files.at(line.back()).parent;
    if (parent.empty()) return line;
    if (!files.contains(parent)) {
      return fail(Code::kInvalid, line.back() + ".yaml: parent: there is no recipe " + parent);
    }
    line.push_back(parent);
    if (!seen.insert(parent).second) {
      std::string circle;
      for (const std::string& each : line) circle += (circle.empty() ? "" : " → ") + each;
      return fail(Code::kInvalid, name + ".yaml: parent: makes a circle: " + circle);
    }
  }
}

// The value at "schedule.steps"; nullptr: not said.
const Json* value_at(const Json& options, std::string_view path) {
  const Json* value = &options;
  while (true) {
    const std::size_t dot = path.find('.');
    if (!value->is_object()) return nullptr;
    const auto found = value->find(std::string(path.substr(0, dot)));
    if (found == value->end()) return nullptr;
    value = &*found;
    if (dot == std::string_view::npos) return value;
    path.remove_prefix(dot + 1);
  }
}

// Options over others of the same kind. Of two that exclude each other the one above takes the place of the one below.
Json laid_over(std::string_view kind, Json below, const Json& above) {
  if (const JobKind* known = find_job_kind(kind); known != nullptr && above.is_object()) {
    for (const auto& [one, other] : known->alternatives) {
      if (above.contains(one)) below.erase(other);
      if (above.contains(other)) below.erase(one);
    }
  }
  return merged(std::move(below), above);
}

std::string not_of_kind(std::string_view kind, const std::string& name) {
  const auto known = recipe_names(kind);
  std::string text = "is " + shown(Json(name)) + ", ";
  if (const Recipe* other = find_recipe(name)) text += "which is for jobs of kind " + other->kind + "; ";
  if (known.empty())
    return text + "there are no recipes for jobs of kind " + std::string(kind) + ", leave it out";
  text += "must be one of: " + enumerate(known);
  if (const auto meant = nearest(name, known)) text += "; did you mean `" + *meant + "`?";
  return text;
}

}  // namespace

Json merged(Json below, const Json& above) {
  if (!below.is_object() || !above.is_object()) return above;
  for (const auto& [key, value] : above.items()) {
    const auto found = below.find(key);
    if (found == below.end())
      below[key] = value;
    else
      *found = merged(std::move(*found), value);
  }
  return below;
}

Result<std::vector<Recipe>> read_recipes(const RecipeTexts& texts) {
  std::map<std::string, RecipeFile> files;
  for (const auto& [name, text] : texts) {
    auto file = read_file(name, text);
    if (!file) return tl::unexpected<Error>(file.error());
    files.emplace(name, *std::move(file));
  }
  std::vector<Recipe> all;
  for (const auto& [name, file] : files) {
    const auto line = line_of_parents(name, files);
    if (!line) return tl::unexpected<Error>(line.error());
    Recipe recipe{name, file.about, "", file.parent, file.with, Json::object()};
    for (auto ancestor = line->rbegin(); ancestor != line->rend(); ++ancestor) {
      const RecipeFile& said = files.at(*ancestor);
      if (!said.kind.empty()) recipe.kind = said.kind;
      recipe.with = laid_over(recipe.kind, std::move(recipe.with), said.with);
    }
    all.push_back(std::move(recipe));
  }
  return all;
}

const std::vector<Recipe>& recipes() {
  static const auto all = [] {
    auto read = read_recipes(recipe_texts());
    PADDOCK_CHECK(read.has_value(), read.error().message);
    return *std::move(read);
  }();
  return all;
}

const Recipe* find_recipe(std::string_view name) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return &recipe;
  }
  return nullptr;
}

std::vector<std::string> recipe_names(std::string_view kind) {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) {
    if (kind.empty() || recipe.kind == kind) names.push_back(recipe.name);
  }
  return names;
}

std::string unknown_recipe(const std::string& name) {
  const auto known = recipe_names();
  std::string text = "there is no recipe " + shown(Json(name)) + "; there are: " + enumerate(known);
  if (const auto meant = nearest(name, known)) text += "; did you mean `" + *meant + "`?";
  return text;
}

tl::expected<Json, Problems> with_recipe(std::string_view kind, const Json& with) {
  const std::string key(kRecipeKey);
  if (!with.is_object() || !with.contains(key)) return with;
  Json given = with;
  const Json name = given[key];
  given.erase(key);
  if (!name.is_string()) {
    return tl::unexpected<Problems>(
        {{key, "is " + shown(name) + ", must be one of: " + enumerate(recipe_names(kind))}});
  }
  const Recipe* recipe = find_recipe(name.get_ref<const std::string&>());
  if (recipe == nullptr || recipe->kind != kind)
    return tl::unexpected<Problems>({{key, not_of_kind(kind, name.get<std::string>())}});
  return laid_over(kind, recipe->with, given);
}

tl::expected<Json, Problems> resolve_options(const JobKind& kind, const Json& with) {
  const auto whole = with_recipe(kind.name, with);
  if (!whole) return tl::unexpected<Problems>(whole.error());
  auto resolved = kind.resolve(*whole);
  if (resolved || !with.contains(std::string(kRecipeKey))) return resolved;
  Problems problems = resolved.error();
  const Recipe* recipe = find_recipe(with[std::string(kRecipeKey)].get_ref<const std::string&>());
  for (Problem& problem : problems) {
    if (value_at(with, problem.path) == nullptr && value_at(recipe->with, problem.path) != nullptr)
      problem.message += " (its value is that of the recipe " + recipe->name + ")";
  }
  return tl::unexpected<Problems>(std::move(problems));
}

}  // namespace paddock::spec
