// tests/data/shards.h – small shard sets of synthetic pictures for the tests of data/.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/encode.h"
#include "data/image.h"
#include "storage/shard.h"

namespace paddock::data {

// A picture that differs from seed to seed in every region: soft ramps under a coarse pattern.
inline Image pattern(int width, int height, int seed) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(
            (x * (3 + c) + y * (5 - c) + seed * 37 + (x / 7 + y / 5) % 2 * 60) & 0xFF);
  return image;
}

// Sample i is a picture of its own, but those in `torn` end in the middle.
inline storage::ShardSet write_pictures(storage::Disk& disk, const storage::fs::path& dir, int samples,
                                        const std::vector<int>& torn = {}) {
  auto writer = storage::ShardWriter::open(disk, dir);
  EXPECT_TRUE(writer) << writer.error().message;
  for (int i = 0; i < samples; ++i) {
    std::vector<std::byte> png = encode_png(pattern(40 + i % 5, 36 + i % 3, i));
    if (std::find(torn.begin(), torn.end(), i) != torn.end()) png.resize(png.size() / 2);
    const std::string label = "{}";
    const auto added =
        writer->add("picture-" + std::to_string(i), {{"png", png}, {"json", storage::bytes_of(label)}});
    EXPECT_TRUE(added) << added.error().message;
  }
  const auto info = writer->finish();
  EXPECT_TRUE(info) << info.error().message;
  auto set = storage::ShardSet::open(disk, dir);
  EXPECT_TRUE(set) << set.error().message;
  return *std::move(set);
}

}  // namespace paddock::data
