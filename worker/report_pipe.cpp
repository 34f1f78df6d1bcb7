#include "worker/report_pipe.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"

namespace paddock::worker {
namespace {

using Json = nlohmann::json;

std::optional<std::string> text_at(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) return std::nullopt;
  return at->get<std::string>();
}

std::optional<Saying> parse_checkpoint(const Json& body) {
  const auto step = body.find("step");
  const auto bytes = body.find("bytes");
  auto path = text_at(body, "path");
  auto hash = text_at(body, "hash");
  if (step == body.end() || !step->is_number_integer() || !path || !hash) return std::nullopt;
  Checkpoint checkpoint{step->get<std::int64_t>(), std::move(*path), std::move(*hash), 0};
  if (bytes != body.end()) {
    if (!bytes->is_number_unsigned()) return std::nullopt;
    checkpoint.bytes = bytes->get<std::uint64_t>();
  }
  return checkpoint;
}

std::optional<Saying> parse_artifact(const Json& body) {
  auto name = text_at(body, "name");
  auto path = text_at(body, "path");
  auto hash = text_at(body, "hash");
  if (!name || !path || !hash || name->empty() || name->size() > limits::kNameBytesMax) return std::nullopt;
  return Artifact{std::move(*name), std::move(*path), std::move(*hash)};
}

}  // namespace

std::optional<Saying> parse_report_line(std::string_view line) {
  const Json report = Json::parse(line, nullptr, false);  // also refuses what is not UTF-8
  if (!report.is_object() || report.size() != 1) return std::nullopt;
  const std::string kind = report.begin().key();
  const Json& body = report.begin().value();
  if (!body.is_object()) return std::nullopt;
  if (kind == "progress") return Progress{body.dump()};
  if (kind == "checkpoint") return parse_checkpoint(body);
  if (kind == "artifact") return parse_artifact(body);
  if (kind == "failure") {
    auto message = text_at(body, "message");
    if (message) return Failure{std::move(*message)};
  }
  return std::nullopt;
}

ReportPipe::ReportPipe(ReportPipe&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      line_(std::move(other.line_)),
      is_drained_(other.is_drained_),
      is_skipping_(other.is_skipping_),
      lines_bad_(other.lines_bad_),
      lines_too_long_(other.lines_too_long_) {}

ReportPipe::~ReportPipe() {
  if (descriptor_ >= 0) close(descriptor_);
}

void ReportPipe::take_line(std::vector<Saying>& sayings) {
  if (is_skipping_) {
    ++lines_too_long_;
  } else if (auto saying = parse_report_line(line_)) {
    const bool is_progress = std::holds_alternative<Progress>(*saying);
    if (is_progress)
      std::erase_if(sayings, [](const Saying& old) { return std::holds_alternative<Progress>(old); });
    sayings.push_back(std::move(*saying));
  } else {
    ++lines_bad_;
  }
  line_.clear();
  is_skipping_ = false;
}

void ReportPipe::take(std::string_view bytes, std::vector<Saying>& sayings) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > limits::kReportLineBytesMax) is_skipping_ = true;
    if (is_skipping_) {
      line_.clear();
    } else {
      line_ += part;
    }
    if (end == std::string_view::npos) return;
    take_line(sayings);
    bytes.remove_prefix(end + 1);
  }
}

std::vector<Saying> ReportPipe::read() {
  std::vector<Saying> sayings;
  is_drained_ = false;
  char buffer[16 << 10];
  for (std::size_t total = 0; descriptor_ >= 0 && total < kBytesPerRead;) {
    const ssize_t length = ::read(descriptor_, buffer, sizeof buffer);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) {
      is_drained_ = true;
      break;
    }
    if (length <= 0) {
      if (!line_.empty() || is_skipping_) take_line(sayings);  // its last line may lack the newline
      close(std::exchange(descriptor_, -1));
      break;
    }
    total += static_cast<std::size_t>(length);
    take(std::string_view(buffer, static_cast<std::size_t>(length)), sayings);
  }
  return sayings;
}

std::vector<Saying> ReportPipe::read_rest() {
  std::vector<Saying> all;
  for (int reads = 0; descriptor_ >= 0 && reads < kReadsOfRest; ++reads) {
    std::vector<Saying> some = read();
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    if (is_drained_) break;
  }
  return all;
}

}  // namespace paddock::worker
