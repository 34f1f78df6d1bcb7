// jobs/spec/recipes.h – named sets of options: `with: { recipe: vitl14, data: … }` stands for all that the
// recipe says. Each is a file of recipes/ and says what differs from its parent. They are embedded when the
// program is built; no file is looked up when it runs. A job's own options lie over the recipe's, group by
// group; what follows (checks, stage key, checkpoints) sees the resolved options and knows of no recipe.
// Threads: pure functions and constants. Errors: values; a broken recipe among those embedded breaks an
// invariant, which tests/jobs_spec/recipes_test.cpp finds first.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.h"
#include "jobs/spec/job_kinds.h"

namespace paddock::spec {

inline constexpr std::string_view kRecipeKey = "recipe";  // in the `with` of a job

struct Recipe {
  std::string name;
  std::string about;   // one line
  std::string kind;    // of the jobs it is for; its own, or else its parent's
  std::string parent;  // "": none
  Json own;            // what its file says itself
  Json with;           // that over all that its parents say; no defaults of the kind
};

using RecipeTexts = std::map<std::string, std::string>;  // name → its file

// Those of this program.
const RecipeTexts& recipe_texts();

// All of them, by name. kInvalid: what is wrong with the first bad one: not YAML, an unknown key, kind or
// parent, parents in a circle. Whether the options are right is not looked at: they may lack what only a job
// can say.
Result<std::vector<Recipe>> read_recipes(const RecipeTexts& texts);

// Of recipe_texts().
const std::vector<Recipe>& recipes();
// nullptr: there is none.
const Recipe* find_recipe(std::string_view name);
// Of a kind, or of all: "".
std::vector<std::string> recipe_names(std::string_view kind = "");
// "there is no recipe "vitl"; there are: …; did you mean `vitl14`?"
std::string unknown_recipe(const std::string& name);

// `above` over `below`: maps are merged key by key, all else is replaced.
Json merged(Json below, const Json& above);

// Options of a job of that kind with the recipe they name put below them; as they are when they name none.
// An unknown recipe, or one for another kind: the problem at "recipe".
tl::expected<Json, Problems> with_recipe(std::string_view kind, const Json& with);

// The same, then what kind.resolve makes of them. A problem with a value that the recipe brought names the
// recipe.
tl::expected<Json, Problems> resolve_options(const JobKind& kind, const Json& with);

}  // namespace paddock::spec
