#include "jobs/spec/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

#include "jobs/spec/nearest.h"

namespace paddock::spec {
namespace {

using cctz::civil_day;
using cctz::civil_minute;
using Seconds = cctz::time_point<cctz::seconds>;

// 29 February and a day of the week meet after 40 years at the latest.
constexpr int kYearsAhead = 41;

struct Field {
  const char* name;
  int min;
  int max;
  std::vector<std::string> words;  // of `min` and what follows
};

const std::array<Field, 5>& fields() {
  static const std::array<Field, 5> all{
      Field{"minute", 0, 59, {}}, Field{"hour", 0, 23, {}}, Field{"day of the month", 1, 31, {}},
      Field{"month",
            1,
            12,
            {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      Field{"day of the week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}};
  return all;
}

struct Shorthand {
  const char* name;
  const char* fields;
};
constexpr std::array<Shorthand, 7> kShorthands{{{"@hourly", "0 * * * *"},
                                                {"@daily", "0 0 * * *"},
                                                {"@midnight", "0 0 * * *"},
                                                {"@weekly", "0 0 * * 0"},
                                                {"@monthly", "0 0 1 * *"},
                                                {"@yearly", "0 0 1 1 *"},
                                                {"@annually", "0 0 1 1 *"}}};

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& letter : lowered)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
  return lowered;
}

tl::unexpected<Error> wrong(const Field& field, std::string_view text, const std::string& why) {
  return fail(Code::kInvalid, std::string("the ") + field.name + " `" + std::string(text) + "` " + why);
}

std::string allowed(const Field& field) {
  std::string text = "must be from " + std::to_string(field.min) + " to " + std::to_string(field.max);
  if (!field.words.empty()) text += ", or " + field.words.front() + " to " + field.words.back();
  return text;
}

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

Result<int> value_of(const Field& field, std::string_view text) {
  if (const auto number = number_in(text)) {
    if (*number < field.min || *number > field.max) return wrong(field, text, allowed(field));
    return *number;
  }
  const std::string word = lower(text);
  const auto found = std::ranges::find(field.words, word);
  if (found != field.words.end()) return field.min + static_cast<int>(found - field.words.begin());
  std::string why = allowed(field);
  if (const auto meant = nearest(word, field.words)) why += "; did you mean `" + *meant + "`?";
  return wrong(field, text, why);
}

// One of the parts between commas: `*`, `5`, `1-5`, each but the number with `/step`.
Result<std::uint64_t> bits_of_part(const Field& field, std::string_view part) {
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  int step = 1;
  if (slash != std::string_view::npos) {
    const auto number = number_in(part.substr(slash + 1));
    if (!number || *number < 1 || *number > field.max)
      return wrong(field, part, "has a step that must be from 1 to " + std::to_string(field.max));
    step = *number;
  }
  int first = field.min;
  int last = field.max;
  const std::size_t dash = range.find('-');
  if (range != "*") {
    const auto begin = value_of(field, range.substr(0, dash));
    if (!begin) return tl::unexpected<Error>(begin.error());
    const auto end = dash == std::string_view::npos ? begin : value_of(field, range.substr(dash + 1));
    if (!end) return tl::unexpected<Error>(end.error());
    first = *begin;
    last = *end;
    if (dash == std::string_view::npos && slash != std::string_view::npos)
      return wrong(field, part,
                   "has a step and no range: " + std::to_string(first) + "-" + std::to_string(field.max) +
                       "/" + std::to_string(step) + " has both");
    if (first > last)
      return wrong(field, part, "ends before it begins: two ranges with a comma between them wrap around");
  }
  std::uint64_t bits = 0;
  for (int value = first; value <= last; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Result<std::uint64_t> bits_of(const Field& field, std::string_view text) {
  std::uint64_t bits = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    auto part = bits_of_part(field, text.substr(begin, end - begin));
    if (!part) return part;
    bits |= *part;
    begin = end + 1;
  }
  return bits;
}

bool will_do(std::uint64_t bits, int value) {
  return (bits >> value & 1) != 0;
}

bool is_day_of(const Cron& cron, const civil_day& day) {
  if (!will_do(cron.months, day.month())) return false;
  const int weekday = (static_cast<int>(cctz::get_weekday(day)) + 1) % 7;  // cctz begins with Monday
  const bool is_day = will_do(cron.days, day.day());
  const bool is_weekday = will_do(cron.weekdays, weekday);
  return cron.has_free_day || cron.has_free_weekday ? is_day && is_weekday : is_day || is_weekday;
}

// The first that will do by the calendar and the clock on the wall, from `from` on.
std::optional<civil_minute> next_by_the_wall(const Cron& cron, const civil_minute& from) {
  const civil_day last(from.year() + kYearsAhead, 1, 1);
  for (civil_day day(from); day < last; ++day) {
    if (!will_do(cron.months, day.month())) {
      day = civil_day(cctz::civil_month(day) + 1) - 1;
      continue;
    }
    if (!is_day_of(cron, day)) continue;
    const civil_minute begin = std::max(civil_minute(day), from);
    for (int hour = begin.hour(); hour < 24; ++hour) {
      if (!will_do(cron.hours, hour)) continue;
      for (int minute = hour == begin.hour() ? begin.minute() : 0; minute < 60; ++minute) {
        if (will_do(cron.minutes, minute))
          return civil_minute(day.year(), day.month(), day.day(), hour, minute);
      }
    }
  }
  return std::nullopt;
}

bool is_possible(const Cron& cron) {
  if (!cron.has_free_day && !cron.has_free_weekday) return true;
  constexpr std::array<int, 12> kDays{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (int month = 1; month <= 12; ++month) {
    for (int day = 1; day <= kDays[static_cast<std::size_t>(month - 1)]; ++day)
      if (will_do(cron.months, month) && will_do(cron.days, day)) return true;
  }
  return false;
}

Seconds to_point(WallTime at) {
  const std::int64_t seconds = at.unix_ms / 1'000 - (at.unix_ms % 1'000 < 0 ? 1 : 0);
  return Seconds(cctz::seconds(seconds));
}

WallTime to_wall(Seconds point) {
  return WallTime{point.time_since_epoch().count() * 1'000};
}

// Names of zones, to say what was probably meant; nothing where the machine has no list of them.
std::vector<std::string> known_zones() {
  std::vector<std::string> names{"UTC"};
  std::ifstream list("/usr/share/zoneinfo/tzdata.zi");
  for (std::string line; std::getline(list, line);) {
    // "Z Europe/Berlin …" begins a zone, "L Europe/Berlin Arctic/Longyearbyen" is another name of one.
    if (!line.starts_with("Z ") && !line.starts_with("L ")) continue;
    std::istringstream words(line.substr(2));
    std::string name;
    words >> name;
    if (line.starts_with("L ")) words >> name;
    names.push_back(name);
  }
  return names;
}

// Never a path, nor what the library means by a name of its own.
bool is_zone_name(const std::string& name) {
  const auto is_letter = [](char each) {
    return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') ||
           each == '_' || each == '-' || each == '+' || each == '/';
  };
  return !name.empty() && name.size() <= 100 && name.front() != '/' && !name.starts_with("Fixed/") &&
         name != "localtime" && std::ranges::all_of(name, is_letter);
}

}  // namespace

Result<Cron> parse_cron(std::string_view text) {
  if (text.starts_with("@")) {
    std::vector<std::string> known;
    for (const Shorthand& each : kShorthands) {
      if (lower(text) == each.name) return parse_cron(each.fields);
      known.emplace_back(each.name);
    }
    const auto meant = nearest(lower(text), known);
    return fail(Code::kInvalid, "`" + std::string(text) + "` must be one of: " + enumerate(known) +
                                    (meant ? "; did you mean `" + *meant + "`?" : ""));
  }
  std::istringstream words{std::string(text)};
  std::vector<std::string> parts;
  for (std::string word; words >> word;) parts.push_back(word);
  if (parts.size() != fields().size()) {
    return fail(Code::kInvalid,
                "has " + std::to_string(parts.size()) +
                    " fields, must have five: minute, hour, day of the month, month, day of the "
                    "week, like `0 2 * * *`");
  }
  Cron cron;
  const std::array<std::uint64_t*, 5> bits{&cron.minutes, &cron.hours, &cron.days, &cron.months,
                                           &cron.weekdays};
  for (std::size_t i = 0; i < bits.size(); ++i) {
    auto field = bits_of(fields()[i], parts[i]);
    if (!field) return tl::unexpected<Error>(std::move(field).error());
    *bits[i] = *field;
  }
  if (will_do(cron.weekdays, 7)) cron.weekdays |= 1;
  cron.is_each_hour = parts[1] == "*";
  cron.has_free_day = parts[2].starts_with("*");
  cron.has_free_weekday = parts[4].starts_with("*");
  if (!is_possible(cron)) {
    return fail(Code::kInvalid,
                "the day of the month `" + parts[2] + "` never comes in the month `" + parts[3] + "`");
  }
  return cron;
}

Result<TimeZone> TimeZone::find(const std::string& name) {
  cctz::time_zone zone;
  if (is_zone_name(name) && cctz::load_time_zone(name, &zone)) return TimeZone(zone);
  const auto meant = nearest(name, known_zones());
  return fail(Code::kInvalid, "`" + name + "` is no time zone of this machine" +
                                  (meant ? "; did you mean `" + *meant + "`?"
                                         : ", must be a name of the IANA database like Europe/Berlin"));
}

std::optional<WallTime> TimeZone::next(const Cron& cron, WallTime after) const {
  if (cron.is_each_hour) return next_hourly(cron, after);
  const Seconds point = to_point(after);
  civil_minute from = civil_minute(cctz::convert(point, zone_)) + 1;
  while (const auto wall = next_by_the_wall(cron, from)) {
    const auto found = zone_.lookup(cctz::civil_second(*wall));
    const bool is_skipped = found.kind == cctz::time_zone::civil_lookup::SKIPPED;
    const Seconds at = is_skipped ? found.trans : found.pre;
    if (at > point) return to_wall(at);
    from = *wall + 1;  // the second time of an hour that comes twice
  }
  return std::nullopt;
}

// From one change of the clocks to the next they go evenly.
std::optional<WallTime> TimeZone::next_hourly(const Cron& cron, WallTime after) const {
  Seconds point = to_point(after);
  civil_minute from = civil_minute(cctz::convert(point, zone_)) + 1;
  const Seconds last = point + cctz::seconds(std::int64_t{kYearsAhead} * 366 * 86'400);
  while (point < last) {
    const auto wall = next_by_the_wall(cron, from);
    if (!wall) return std::nullopt;
    const Seconds at = point + cctz::seconds(cctz::civil_second(*wall) - cctz::convert(point, zone_));
    cctz::time_zone::civil_transition change;
    Seconds change_at = Seconds::max();
    if (zone_.next_transition(point, &change)) change_at = zone_.lookup(change.to).trans;
    if (at < change_at) return to_wall(at);
    point = change_at;
    const cctz::civil_second now = cctz::convert(point, zone_);
    from = civil_minute(now) + (now.second() > 0 ? 1 : 0);
  }
  return std::nullopt;
}

std::string TimeZone::show(WallTime at) const {
  return cctz::format("%Y-%m-%dT%H:%M%Ez", to_point(at), zone_);
}

}  // namespace paddock::spec
