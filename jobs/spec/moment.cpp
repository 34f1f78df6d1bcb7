#include "jobs/spec/moment.h"

#include <cctz/time_zone.h>

#include "jobs/spec/units.h"

namespace paddock::spec {

std::optional<WallTime> parse_moment(const std::string& text, WallTime now) {
  if (text == "now") return now;
  if (text.starts_with("+")) {
    const auto later = parse_duration(text.substr(1));
    return later ? std::optional(WallTime{now.unix_ms + later->count()}) : std::nullopt;
  }
  for (const char* const form :
       {"%Y-%m-%dT%H:%M:%S%Ez", "%Y-%m-%dT%H:%M%Ez", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"}) {
    cctz::time_point<cctz::seconds> point;
    if (cctz::parse(form, text, cctz::local_time_zone(), &point))
      return WallTime{point.time_since_epoch().count() * 1'000};
  }
  return std::nullopt;
}

}  // namespace paddock::spec
