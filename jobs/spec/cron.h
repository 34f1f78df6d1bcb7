// jobs/spec/cron.h – the times of a cron expression in a time zone. Five fields (minute, hour, day of the month, month,
// day of the week), each `*`, numbers, ranges, steps and lists, months and days also by name (jan, mon), 7 as well as 0
// for Sunday; or @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. As in crontab(5): where neither day
// field begins with `*`, a day that either of them names will do; else it must please both.
//
// When clocks change: a time of day that is skipped comes at the first instant after the gap, one that comes twice counts
// the first time. An expression whose hour is `*` means every hour that passes instead, the doubled one twice.
// Threads: values, pure functions but for TimeZone::find, which reads the machine's time zones (any thread).
#pragma once

#include <cctz/time_zone.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace paddock::spec {

// Bit n: the value n will do. Weekdays from Sunday, 0.
struct Cron {
  std::uint64_t minutes = 0;
  std::uint64_t hours = 0;
  std::uint64_t days = 0;
  std::uint64_t months = 0;
  std::uint64_t weekdays = 0;
  bool is_each_hour = false;      // the hour is `*`
  bool has_free_day = false;      // the day of the month begins with `*`
  bool has_free_weekday = false;  // the day of the week begins with `*`
  bool operator==(const Cron&) const = default;
};

// kInvalid: what is wrong with which field and what is allowed; also where no day will ever do (30 February).
Result<Cron> parse_cron(std::string_view text);

class TimeZone {
 public:
  // By its name in the IANA database: "Europe/Berlin". kInvalid: this machine knows none of that name.
  static Result<TimeZone> find(const std::string& name);

  // The first time after `after`.
  std::optional<WallTime> next(const Cron& cron, WallTime after) const;
  // "2026-11-28T02:00+01:00"
  std::string show(WallTime at) const;

 private:
  explicit TimeZone(const cctz::time_zone& zone) : zone_(zone) {}
  std::optional<WallTime> next_hourly(const Cron& cron, WallTime after) const;

  cctz::time_zone zone_;
};

}  // namespace paddock::spec
