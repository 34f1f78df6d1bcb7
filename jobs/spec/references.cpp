#include "jobs/spec/references.h"

#include <functional>
#include <set>

#include "base/ids.h"

namespace paddock::spec {
namespace {

// A stretch of text: literal, or a reference.
struct Piece {
  std::string literal;
  std::optional<Reference> reference;
};

std::optional<Reference> as_reference(std::string_view inside) {
  const std::size_t dot = inside.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view job = inside.substr(0, dot);
  const std::string_view artifact = inside.substr(dot + 1);
  if (!is_name(job) || !is_name(artifact)) return std::nullopt;
  return Reference{std::string(job), std::string(artifact)};
}

Result<std::vector<Piece>> split(std::string_view text, Place place) {
  std::vector<Piece> pieces(1);
  const auto literal = [&](std::string_view more) {
    if (pieces.back().reference) pieces.emplace_back();
    pieces.back().literal += more;
  };
  while (!text.empty()) {
    const std::size_t start = text.find("${");
    if (start == std::string_view::npos) {
      literal(text);
      break;
    }
    if (start > 0 && text[start - 1] == '$') {  // `$${`
      literal(text.substr(0, start - 1));
      literal("${");
      text.remove_prefix(start + 2);
      continue;
    }
    literal(text.substr(0, start));
    text.remove_prefix(start);
    const std::size_t end = text.find('}');
    const auto reference =
        end == std::string_view::npos ? std::nullopt : as_reference(text.substr(2, end - 2));
    if (reference) {
      pieces.push_back({"", reference});
      text.remove_prefix(end + 1);
    } else if (place == Place::kCommand) {
      literal("${");
      text.remove_prefix(2);
    } else {
      const std::string shown(
          text.substr(0, end == std::string_view::npos ? 40 : std::min<std::size_t>(end + 1, 40)));
      return fail(Code::kInvalid,
                  "`" + shown + "` is not a reference, must be ${job.artifact}; write $${ for a plain ${");
    }
  }
  return pieces;
}

void collect(const Json& json, std::set<Reference>& references) {
  if (json.is_string()) {
    if (const auto found = references_in(json.get_ref<const std::string&>(), Place::kOptions)) {
      references.insert(found->begin(), found->end());
    }
  }
  if (json.is_structured()) {
    for (const Json& element : json) collect(element, references);
  }
}

}  // namespace

Result<std::vector<Reference>> references_in(std::string_view text, Place place) {
  if (text.find("${") == std::string_view::npos) return std::vector<Reference>();
  const auto pieces = split(text, place);
  if (!pieces) return tl::unexpected<Error>(pieces.error());
  std::vector<Reference> references;
  for (const Piece& piece : *pieces) {
    if (piece.reference) references.push_back(*piece.reference);
  }
  return references;
}

std::vector<Reference> references_of(const JobSpec& job) {
  std::set<Reference> references;
  collect(job.with, references);
  const auto add = [&](const std::string& text) {
    if (const auto found = references_in(text, Place::kCommand))
      references.insert(found->begin(), found->end());
  };
  for (const std::string& argument : job.command) add(argument);
  for (const auto& [name, value] : job.environment) add(value);
  return {references.begin(), references.end()};
}

std::optional<Reference> condition_reference(std::string_view text) {
  if (!text.starts_with("${") || !text.ends_with("}")) return std::nullopt;
  return as_reference(text.substr(2, text.size() - 3));
}

Result<std::string> substitute(std::string_view text, Place place, const ReferenceValues& values) {
  if (text.find("${") == std::string_view::npos) return std::string(text);
  const auto pieces = split(text, place);
  if (!pieces) return tl::unexpected<Error>(pieces.error());
  std::string result;
  for (const Piece& piece : *pieces) {
    if (!piece.reference) {
      result += piece.literal;
      continue;
    }
    const auto value = values.find(*piece.reference);
    if (value == values.end()) {
      return fail(Code::kNotFound,
                  "job " + piece.reference->job + " has made no artifact " + piece.reference->artifact);
    }
    result += value->second;
  }
  return result;
}

Result<Json> substitute(const Json& with, const ReferenceValues& values) {
  if (with.is_string()) {
    return substitute(with.get_ref<const std::string&>(), Place::kOptions, values).map([](std::string text) {
      return Json(std::move(text));
    });
  }
  if (!with.is_structured()) return with;
  Json result = with;
  for (Json& element : result) {
    auto value = substitute(element, values);
    if (!value) return value;
    element = *std::move(value);
  }
  return result;
}

Result<JobSpec> substitute(const JobSpec& job, const ReferenceValues& values) {
  JobSpec result = job;
  TRY_ASSIGN(result.with, substitute(job.with, values), "job " + job.name);
  for (std::string& argument : result.command) {
    TRY_ASSIGN(argument, substitute(argument, Place::kCommand, values), "the command of job " + job.name);
  }
  for (auto& [name, value] : result.environment) {
    TRY_ASSIGN(value, substitute(value, Place::kCommand, values), "variable " + name + " of job " + job.name);
  }
  return result;
}

}  // namespace paddock::spec
