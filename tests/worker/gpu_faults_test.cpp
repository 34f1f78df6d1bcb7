#include "worker/gpu_faults.h"

#include <gtest/gtest.h>

#include "worker/gpu_watch.h"

namespace paddock::worker {
namespace {

TEST(GpuFaults, ErrorsOfProgramsAreToldFromFaultsOfTheDevice) {
  for (const std::uint64_t xid : {13, 31, 43, 45, 68, 109})
    EXPECT_EQ(meaning_of_xid(xid), XidMeaning::kApplication) << xid;
  for (const std::uint64_t xid : {48, 63, 64, 74, 79, 94, 95, 119, 120})
    EXPECT_EQ(meaning_of_xid(xid), XidMeaning::kDevice) << xid;
  for (const std::uint64_t xid : {0, 1, 62, 999}) EXPECT_EQ(meaning_of_xid(xid), XidMeaning::kUnknown) << xid;
  EXPECT_EQ(describe_xid(79), "Xid 79 (the GPU has fallen off the bus)");
  EXPECT_EQ(describe_xid(999), "Xid 999");
}

TEST(GpuWatch, WhatItTellsIsReadAsItWasMeant) {
  const auto again = [](const GpuNews& news) {
    const std::string line = to_line(news);
    EXPECT_EQ(line.back(), '\n');
    return parse_gpu_line(line.substr(0, line.size() - 1)).value();
  };
  const auto listed = std::get<GpuListed>(again(GpuListed{{"GPU-1", "NVIDIA H100 80GB HBM3", 80ull << 30}}));
  EXPECT_EQ(listed.gpu.uuid, "GPU-1");
  EXPECT_EQ(listed.gpu.model, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(listed.gpu.memory_bytes, 80ull << 30);
  EXPECT_EQ(std::get<GpuXid>(again(GpuXid{"GPU-1", 79})).xid, 79u);
  EXPECT_EQ(std::get<GpuLost>(again(GpuLost{"GPU-1", "it fell off"})).reason, "it fell off");
  EXPECT_EQ(std::get<GpuMemoryError>(again(GpuMemoryError{"GPU-1"})).uuid, "GPU-1");
  EXPECT_EQ(std::get<GpusFailed>(again(GpusFailed{"no driver"})).reason, "no driver");
  EXPECT_TRUE(std::holds_alternative<GpusReady>(again(GpusReady{})));
  EXPECT_TRUE(std::holds_alternative<GpusAlive>(again(GpusAlive{})));
}

TEST(GpuWatch, WhatIsNoLineOfItsIsNothing) {
  for (const char* line : {"", "gpu", "gpu GPU-1 many H100", "xid GPU-1 x", "xid GPU-1", "warm GPU-1"})
    EXPECT_FALSE(parse_gpu_line(line)) << line;
}

}  // namespace
}  // namespace paddock::worker
