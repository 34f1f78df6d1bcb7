#include "base/result.h"

#include <gtest/gtest.h>

namespace paddock {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Code::kInvalid, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  TRY_ASSIGN(const int first, half(n), "halving once");
  TRY_ASSIGN(const int second, half(first), "halving twice");
  return second;
}

TEST(Result, TryPutsWhatWeWereDoingInFront) {
  EXPECT_EQ(quarter(8).value(), 2);
  ASSERT_FALSE(quarter(6));
  EXPECT_EQ(quarter(6).error().message, "halving twice: odd");
  EXPECT_EQ(quarter(6).error().code, Code::kInvalid);
  EXPECT_EQ(name_of(Code::kFenced), "fenced");
}

}  // namespace
}  // namespace paddock
