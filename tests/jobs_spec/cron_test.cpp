// Cron expressions over time zones: the hard cases, each with its next times written out by hand from the zone's rules.
#include "jobs/spec/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

namespace paddock::spec {
namespace {

using ::testing::HasSubstr;

WallTime at(const char* utc) {
  cctz::time_point<cctz::seconds> point;
  EXPECT_TRUE(cctz::parse("%Y-%m-%dT%H:%M:%SZ", utc, cctz::utc_time_zone(), &point)) << utc;
  return WallTime{point.time_since_epoch().count() * 1'000};
}

struct Case {
  const char* what;
  const char* cron;
  const char* zone;
  const char* after;                // UTC
  std::vector<std::string> expect;  // the next times, as the zone says them
};

std::vector<Case> cases() {
  const char* const berlin = "Europe/Berlin";
  const char* const new_york = "America/New_York";
  return {
      {"every night",
       "0 2 * * *",
       "UTC",
       "2026-11-28T02:00:00Z",
       {"2026-11-29T02:00+00:00", "2026-11-30T02:00+00:00"}},
      {"a second before", "0 2 * * *", "UTC", "2026-11-28T01:59:59Z", {"2026-11-28T02:00+00:00"}},
      {"steps and lists",
       "5-20/5,50 6 * * *",
       "UTC",
       "2026-01-01T06:10:00Z",
       {"2026-01-01T06:15+00:00", "2026-01-01T06:20+00:00", "2026-01-01T06:50+00:00",
        "2026-01-02T06:05+00:00"}},
      {"names",
       "0 0 * feb,nov sun",
       "UTC",
       "2026-02-22T00:00:00Z",
       {"2026-11-01T00:00+00:00", "2026-11-08T00:00+00:00"}},
      {"seven is Sunday",
       "0 0 * * 5-7",
       "UTC",
       "2026-11-28T00:00:00Z",
       {"2026-11-29T00:00+00:00", "2026-12-04T00:00+00:00", "2026-12-05T00:00+00:00",
        "2026-12-06T00:00+00:00"}},
      {"both days restricted: either will do",
       "0 0 13 * fri",
       "UTC",
       "2026-11-12T12:00:00Z",
       {"2026-11-13T00:00+00:00", "2026-11-20T00:00+00:00", "2026-11-27T00:00+00:00",
        "2026-12-04T00:00+00:00", "2026-12-11T00:00+00:00", "2026-12-13T00:00+00:00"}},
      {"a field that begins with * is free: both must please",
       "0 0 */2 * mon",
       "UTC",
       "2026-11-01T00:00:00Z",
       {"2026-11-09T00:00+00:00", "2026-11-23T00:00+00:00", "2026-12-07T00:00+00:00"}},
      {"the 31st, where there is one",
       "0 0 31 * *",
       "UTC",
       "2026-01-31T00:00:00Z",
       {"2026-03-31T00:00+00:00", "2026-05-31T00:00+00:00", "2026-07-31T00:00+00:00"}},
      {"leap day",
       "0 12 29 2 *",
       "UTC",
       "2026-11-28T00:00:00Z",
       {"2028-02-29T12:00+00:00", "2032-02-29T12:00+00:00"}},
      {"leap day over a century without one",
       "0 12 29 2 *",
       "UTC",
       "2096-03-01T00:00:00Z",
       {"2104-02-29T12:00+00:00"}},
      {"turn of the year", "@yearly", berlin, "2026-12-31T22:59:59Z", {"2027-01-01T00:00+01:00"}},
      {"weekly", "@weekly", "UTC", "2026-11-28T00:00:00Z", {"2026-11-29T00:00+00:00"}},
      {"spring: what is skipped comes after the gap",
       "30 2 * * *",
       berlin,
       "2026-03-28T02:00:00Z",
       {"2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"}},
      {"spring: several that are skipped come once",
       "0,15,30 2 * * *",
       berlin,
       "2026-03-29T00:00:00Z",
       {"2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"}},
      {"spring: every second hour",
       "0 */2 * * *",
       new_york,
       "2026-03-08T05:00:00Z",
       {"2026-03-08T03:00-04:00", "2026-03-08T04:00-04:00", "2026-03-08T06:00-04:00"}},
      {"spring: every hour is every hour",
       "0 * * * *",
       berlin,
       "2026-03-29T00:00:00Z",
       {"2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"}},
      {"autumn: what comes twice counts once",
       "30 2 * * *",
       berlin,
       "2026-10-24T12:00:00Z",
       {"2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"}},
      {"autumn: asked in the second of the two hours",
       "30 2 * * *",
       berlin,
       "2026-10-25T01:10:00Z",
       {"2026-10-26T02:30+01:00"}},
      {"autumn: every hour is every hour",
       "30 * * * *",
       berlin,
       "2026-10-24T23:30:00Z",
       {"2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00"}},
      {"autumn: every quarter of an hour goes on",
       "*/15 * * * *",
       new_york,
       "2026-11-01T05:30:00Z",
       {"2026-11-01T01:45-04:00", "2026-11-01T01:00-05:00", "2026-11-01T01:15-05:00"}},
      {"half an hour of summer time",
       "15 2 * * *",
       "Australia/Lord_Howe",
       "2026-10-02T12:00:00Z",
       {"2026-10-03T02:15+10:30", "2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"}},
      {"midnight that does not exist",
       "0 0 * * *",
       "America/Asuncion",
       "2023-09-30T12:00:00Z",
       {"2023-10-01T01:00-03:00", "2023-10-02T00:00-03:00"}},
      {"a day that does not exist",
       "0 9 30 12 *",
       "Pacific/Apia",
       "2011-12-01T00:00:00Z",
       {"2011-12-31T00:00+14:00", "2012-12-30T09:00+14:00"}},
      {"beyond the zone's table, by its rule",
       "30 2 * * *",
       berlin,
       "2051-03-25T02:00:00Z",
       {"2051-03-26T03:00+02:00"}},
      {"an offset of three quarters",
       "0 6 1 * *",
       "Asia/Kathmandu",
       "2026-11-28T00:00:00Z",
       {"2026-12-01T06:00+05:45"}},
      {"before 1970", "0 0 1 1 *", "UTC", "1960-06-01T00:00:30Z", {"1961-01-01T00:00+00:00"}},
  };
}

class CronTimes : public testing::TestWithParam<Case> {};

TEST_P(CronTimes, ComeWhenTheyShould) {
  const Case& each = GetParam();
  const auto cron = parse_cron(each.cron);
  ASSERT_TRUE(cron) << cron.error().message;
  const auto zone = TimeZone::find(each.zone);
  ASSERT_TRUE(zone) << zone.error().message;
  WallTime time = at(each.after);
  for (const std::string& expected : each.expect) {
    const auto next = zone->next(*cron, time);
    ASSERT_TRUE(next) << "never " << expected;
    EXPECT_EQ(zone->show(*next), expected);
    EXPECT_GT(*next, time);
    time = *next;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, CronTimes, testing::ValuesIn(cases()), [](const auto& each) {
  std::string name;
  for (const char letter : std::string(each.param.what)) name += std::isalnum(letter) != 0 ? letter : '_';
  return name;
});

bool is_in(std::uint64_t bits, int value) {
  return (bits >> value & 1) != 0;
}

// Whether the cron means this minute: looked at by itself, for expressions without a skipped time.
bool is_meant(const Cron& cron, const cctz::time_zone& zone, cctz::time_point<cctz::seconds> point) {
  const cctz::civil_minute wall(cctz::convert(point, zone));
  const int weekday = (static_cast<int>(cctz::get_weekday(cctz::civil_day(wall))) + 1) % 7;
  if (!is_in(cron.minutes, wall.minute()) || !is_in(cron.hours, wall.hour()) ||
      !is_in(cron.days, wall.day()) || !is_in(cron.weekdays, weekday))
    return false;
  const auto lookup = zone.lookup(cctz::civil_second(wall));
  const bool is_second_time = lookup.kind == cctz::time_zone::civil_lookup::REPEATED && lookup.post == point;
  return cron.is_each_hour || !is_second_time;
}

TEST(Cron, EveryTimeOfAYearIsThereOnceAndInOrder) {
  const WallTime begin = at("2026-01-01T00:00:00Z");
  const WallTime end = at("2027-01-01T00:00:00Z");
  for (const char* const name : {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"}) {
    const auto zone = TimeZone::find(name);
    cctz::time_zone plain;
    ASSERT_TRUE(zone && cctz::load_time_zone(name, &plain));
    for (const char* const text : {"*/20 * * * *", "7 3,14 * * *", "0 0 1,15 * *", "40 1 * * sun"}) {
      const Cron cron = *parse_cron(text);
      std::vector<WallTime> expected;
      for (WallTime time{begin.unix_ms + 60'000}; time < end; time.unix_ms += 60'000) {
        const auto point = cctz::time_point<cctz::seconds>(cctz::seconds(time.unix_ms / 1'000));
        if (is_meant(cron, plain, point)) expected.push_back(time);
      }
      std::vector<WallTime> found;
      for (auto next = zone->next(cron, begin); next && *next < end; next = zone->next(cron, *next))
        found.push_back(*next);
      EXPECT_EQ(found.size(), expected.size()) << text << " in " << name;
      EXPECT_TRUE(found == expected) << text << " in " << name;
    }
  }
}

TEST(Cron, WhatIsWrongIsSaidWithItsField) {
  const auto problem = [](const char* text) {
    const auto cron = parse_cron(text);
    return cron ? std::string("accepted") : cron.error().message;
  };
  EXPECT_THAT(problem("61 * * * *"), HasSubstr("the minute `61` must be from 0 to 59"));
  EXPECT_THAT(problem("* 24 * * *"), HasSubstr("the hour `24` must be from 0 to 23"));
  EXPECT_THAT(problem("* * 0 * *"), HasSubstr("the day of the month `0` must be from 1 to 31"));
  EXPECT_THAT(problem("* * * fbe *"), HasSubstr("did you mean `feb`?"));
  EXPECT_THAT(problem("* * * * 8"), HasSubstr("must be from 0 to 7, or sun to sat"));
  EXPECT_THAT(problem("*/0 * * * *"), HasSubstr("has a step that must be from 1 to 59"));
  EXPECT_THAT(problem("5/10 * * * *"), HasSubstr("5-59/10 has both"));
  EXPECT_THAT(problem("* * * * fri-mon"), HasSubstr("ends before it begins"));
  EXPECT_THAT(problem("* * * *"), HasSubstr("has 4 fields, must have five"));
  EXPECT_THAT(problem("1,,2 * * * *"), HasSubstr("the minute ``"));
  EXPECT_THAT(problem("-1 * * * *"), HasSubstr("the minute"));
  EXPECT_THAT(problem("0 0 31 feb,apr *"), HasSubstr("never comes in the month"));
  EXPECT_THAT(problem("@dayly"), HasSubstr("did you mean `@daily`?"));
  EXPECT_EQ(problem("0 0 30 feb mon"), "accepted") << "a Monday will do";
}

TEST(Cron, AZoneThatIsNotKnownIsRefusedWithTheOneThatWasMeant) {
  const auto problem = [](const char* name) {
    const auto zone = TimeZone::find(name);
    return zone ? std::string("accepted") : zone.error().message;
  };
  EXPECT_THAT(problem("Europe/Berln"), HasSubstr("did you mean `Europe/Berlin`?"));
  EXPECT_THAT(problem("/etc/passwd"), HasSubstr("is no time zone"));
  EXPECT_THAT(problem("../../etc/passwd"), HasSubstr("is no time zone"));
  EXPECT_THAT(problem("Fixed/UTC+01:00:00"), HasSubstr("is no time zone"));
  EXPECT_THAT(problem(""), HasSubstr("is no time zone"));
  EXPECT_EQ(problem("America/Argentina/Buenos_Aires"), "accepted");
}

}  // namespace
}  // namespace paddock::spec
