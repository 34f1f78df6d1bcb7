// The allocator of programs that train: it keeps what is freed, and steps of uneven buffers do not make it grow.
#include "base/memory.h"

#include <gtest/gtest.h>
#include <jemalloc/jemalloc.h>

#include <cstdlib>
#include <vector>

#include "base/random.h"

namespace paddock {
namespace {

template <typename Value>
Value told(const char* name) {
  Value value{};
  std::size_t size = sizeof(value);
  EXPECT_EQ(mallctl(name, &value, &size, nullptr, 0), 0) << name;
  return value;
}

TEST(KeptMemory, IsNeverGivenBack) {
  keep_freed_memory();
  EXPECT_EQ(told<ssize_t>("opt.dirty_decay_ms"), -1);
  EXPECT_EQ(told<ssize_t>("opt.muzzy_decay_ms"), -1);
  EXPECT_EQ(told<unsigned>("opt.narenas"), 1u);
}

std::size_t mapped_bytes() {
  std::uint64_t epoch = 1;
  mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch));
  return told<std::size_t>("stats.mapped");
}

// Buffers of a step as a training makes them: some live as long as the step, others shorter, and all differ by a few per cent from
// those of the step before.
TEST(KeptMemory, DoesNotGrowWithUnevenSteps) {
  const auto step = [](std::uint64_t number) {
    Draws draws(7, number, Purpose::kSplit);
    std::vector<void*> kept;
    for (std::size_t layer = 0; layer < 12; ++layer) {
      const auto rows = 7'000 + draws.below(400);
      void* passing = std::malloc(rows * 1'536 * 4);
      kept.push_back(std::malloc(rows * 384 * 4));
      kept.push_back(std::malloc(rows * 1'536 * 2));
      std::free(passing);
    }
    kept.push_back(std::malloc((2'000 + draws.below(800)) * 65'536 * 2));
    for (void* buffer : kept) std::free(buffer);
  };
  for (std::uint64_t number = 0; number < 20; ++number) step(number);
  const auto at_first = mapped_bytes();
  for (std::uint64_t number = 20; number < 400; ++number) step(number);
  EXPECT_LT(static_cast<double>(mapped_bytes()), 1.25 * static_cast<double>(at_first));
}

}  // namespace
}  // namespace paddock
