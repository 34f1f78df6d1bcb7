#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace paddock {
namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

void append_json(std::string& line, const LogField& field) {
  line += ',' + json_string(field.key) + ':' + (field.is_number ? field.value : json_string(field.value));
}

void append_text(std::string& line, const LogField& field) {
  line += ' ' + field.key + '=' + field.value;
}

}  // namespace

struct Log::Sinks {
  std::shared_ptr<spdlog::logger> terminal;
  std::shared_ptr<spdlog::logger> file;
};

Log::Log() : sinks_(std::make_shared<Sinks>()) {
  sinks_->terminal =
      std::make_shared<spdlog::logger>("terminal", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  sinks_->terminal->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
}

Result<void> Log::open_file(const std::filesystem::path& path) {
  try {  // spdlog reports by exception; this is the place where it is translated
    std::filesystem::create_directories(path.parent_path());
    sinks_->file = std::make_shared<spdlog::logger>(
        "file", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string()));
    sinks_->file->set_pattern("%v");
    sinks_->file->flush_on(spdlog::level::info);
  } catch (const std::exception& problem) {
    return fail(Code::kUnavailable, "the log file " + path.string() + " cannot be opened: " + problem.what());
  }
  return {};
}

void Log::quiet() {
  sinks_->terminal->set_level(spdlog::level::off);
}

Log Log::with(Fields fields) const {
  Log bound = *this;
  bound.bound_.insert(bound.bound_.end(), fields.begin(), fields.end());
  return bound;
}

void Log::write(int level, std::string_view event, Fields fields) const {
  const auto severity = static_cast<spdlog::level::level_enum>(level);
  std::string text(event);
  for (const LogField& field : bound_) append_text(text, field);
  for (const LogField& field : fields) append_text(text, field);
  sinks_->terminal->log(severity, text);
  if (!sinks_->file) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string json =
      "{\"unix_ms\":" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) +
      ",\"level\":" + json_string(spdlog::level::to_short_c_str(severity)) +
      ",\"event\":" + json_string(event);
  for (const LogField& field : bound_) append_json(json, field);
  for (const LogField& field : fields) append_json(json, field);
  sinks_->file->log(severity, json + '}');
}

void Log::debug(std::string_view event, Fields fields) const {
  write(spdlog::level::debug, event, fields);
}
void Log::info(std::string_view event, Fields fields) const {
  write(spdlog::level::info, event, fields);
}
void Log::warn(std::string_view event, Fields fields) const {
  write(spdlog::level::warn, event, fields);
}
void Log::error(std::string_view event, Fields fields) const {
  write(spdlog::level::err, event, fields);
}

}  // namespace paddock
