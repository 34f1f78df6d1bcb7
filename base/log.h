// base/log.h – events with fields, not sentences: log.warn("lease_lapsed", {{"node", id}, {"late_ms", late}}).
// Levels mean actions: error – an operator must act; warn – the system acted for him; info – a state change; debug – off.
// Short text goes to stderr, JSON lines to a file when one is opened. No secrets, nothing per training step.
// Threads: any. spdlog stands behind it; nothing else includes spdlog.
#pragma once

#include <concepts>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paddock {

struct LogField {
  std::string key;
  std::string value;
  bool is_number = false;

  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const char* text) : key(name), value(text) {}
  LogField(std::string_view name, const std::string& text) : key(name), value(text) {}
  template <typename Number>
  requires std::integral<Number> || std::floating_point<Number> LogField(std::string_view name, Number number)
      : key(name), value(std::to_string(number)), is_number(true) {}
};

class Log {
 public:
  using Fields = std::initializer_list<LogField>;

  // A log that writes to stderr; every copy made by with() shares its sinks.
  Log();
  // Adds a JSON-lines file at `path`, appended to. kUnavailable: it cannot be opened.
  Result<void> open_file(const std::filesystem::path& path);
  // Nothing to stderr from now on (a program whose terminal shows something else).
  void quiet();
  // The same log with these fields on every line.
  Log with(Fields fields) const;

  void debug(std::string_view event, Fields fields = {}) const;
  void info(std::string_view event, Fields fields = {}) const;
  void warn(std::string_view event, Fields fields = {}) const;
  void error(std::string_view event, Fields fields = {}) const;

 private:
  struct Sinks;
  void write(int level, std::string_view event, Fields fields) const;

  std::shared_ptr<Sinks> sinks_;
  std::vector<LogField> bound_;
};

}  // namespace paddock
