// Whom the ranks name when they wait too long, by what each has said of itself.
#include "jobs/roll_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paddock::jobs {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

Heard rank(std::uint64_t operations, bool is_waiting, seconds in_phase, const char* phase,
           seconds silent = seconds(0)) {
  return {Whereabouts{1, 7, operations, is_waiting, in_phase, phase}, silent};
}

TEST(RollCall, NamesTheRankThatGivesNoSignOfLifeBeforeAnyOther) {
  const auto culprit =
      who_hangs({rank(40, true, seconds(11), "the update"), rank(39, false, seconds(12), "reading pictures"),
                 rank(40, true, seconds(1), "the update", seconds(9))},
                seconds(3));
  EXPECT_EQ(culprit.rank, 2);
  EXPECT_EQ(culprit.sentence,
            "rank 2 has given no sign of life for 9 s (stopped, or cut off); it was at step 7, "
            "the update");
}

// A pass of the teacher counts as waiting, for it ends in one: the operations tell.
TEST(RollCall, NamesTheRankThatHasBegunFewerOperations) {
  const auto culprit = who_hangs(
      {rank(40, true, seconds(11), "the teacher's pass"), rank(39, true, seconds(11), "the teacher's pass"),
       rank(40, false, seconds(2), "reading pictures")},
      seconds(3));
  EXPECT_EQ(culprit.rank, 1);
  EXPECT_EQ(culprit.sentence, "rank 1 has been at step 7, the teacher's pass, for 11 s");
}

// Where one sends and the others receive, the sender runs ahead, and who waits for the one that hangs is behind as well.
TEST(RollCall, NamesTheOneFarthestBehind) {
  const auto culprit =
      who_hangs({rank(40, true, seconds(9), "the update"), rank(39, true, seconds(15), "the update"),
                 rank(38, false, seconds(11), "reading pictures")},
                seconds(3));
  EXPECT_EQ(culprit.rank, 2);
  EXPECT_THAT(culprit.sentence, testing::Not(HasSubstr("more like it")));
}

TEST(RollCall, NamesWhoWorksLongestWhereNobodyIsBehind) {
  const auto culprit =
      who_hangs({rank(40, true, seconds(11), "the update"), rank(40, false, seconds(12), "reading pictures"),
                 rank(40, false, seconds(14), "reading pictures")},
                seconds(3));
  EXPECT_EQ(culprit.rank, 2);
  EXPECT_THAT(culprit.sentence, HasSubstr("for 14 s; 1 more like it"));
}

TEST(RollCall, NamesNobodyWhereAllWaitForEachOther) {
  const auto culprit = who_hangs(
      {rank(40, true, seconds(11), "the update"), rank(40, true, seconds(11), "the update")}, seconds(3));
  EXPECT_EQ(culprit.rank, -1);
  EXPECT_THAT(culprit.sentence, HasSubstr("network"));
}

TEST(RollCall, ARankThatNeverSaidAnythingIsNamed) {
  EXPECT_EQ(who_hangs({rank(4, true, seconds(11), "starting"), {}}, seconds(3)).sentence,
            "rank 1 has never said where it is");
}

TEST(RollCall, WhatIsSaidComesAsItWasSaid) {
  const Whereabouts said{3, 7, 40, true, std::chrono::milliseconds(1'234), "the teacher's pass, and more"};
  EXPECT_EQ(whereabouts_from_text(to_text(said)), said);
  for (const char* text : {"", "3", "3 7 40 2 1234 phase", "a b c d e f", "3 7 40"})
    EXPECT_EQ(whereabouts_from_text(text), std::nullopt) << text;
}

}  // namespace
}  // namespace paddock::jobs
