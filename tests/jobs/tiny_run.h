// tests/jobs/tiny_run.h – a dataset of drawn pictures and the options of a run small enough to be trained in a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/random.h"
#include "data/encode.h"
#include "jobs/value_or_throw.h"
#include "storage/shard.h"
#include "tests/temporary_folder.h"

namespace paddock::jobs {

namespace fs = std::filesystem;

// Squares on paper. The picture numbered `torn` ends in the middle.
inline void write_split(const fs::path& dir, int pictures, std::uint64_t seed, int torn = -1,
                        bool has_labels = false) {
  storage::RealDisk disk;
  auto writer = value_or_throw(storage::ShardWriter::open(disk, dir), "writing a split");
  for (int i = 0; i < pictures; ++i) {
    Draws draws(seed, static_cast<std::uint64_t>(i), Purpose::kSplit);
    data::Image image(40, 40);
    const auto side = 8 + draws.below(24);
    std::uint8_t ink[3], paper[3];
    for (int c = 0; c < 3; ++c) {
      ink[c] = static_cast<std::uint8_t>(draws.below(256));
      paper[c] = static_cast<std::uint8_t>(draws.below(256));
    }
    for (std::size_t y = 0; y < 40; ++y) {
      for (std::size_t x = 0; x < 40; ++x) {
        const auto* color = x < side && y < side ? ink : paper;
        std::copy_n(color, 3, image.row(static_cast<int>(y)) + 3 * x);
      }
    }
    auto png = data::encode_png(image);
    if (i == torn) png.resize(png.size() / 2);
    const std::string about = !has_labels ? "{}"
                              : side < 20 ? R"({"label":"small"})"
                                          : R"({"label":"large"})";
    value_or_throw(
        writer.add("picture-" + std::to_string(i), {{"png", png}, {"json", storage::bytes_of(about)}}),
        "writing a sample");
  }
  value_or_throw(writer.finish(), "finishing a split");
}

inline fs::path write_dataset(const fs::path& dir, bool has_labels = false) {
  write_split(dir / "train", 50, 1, -1, has_labels);
  write_split(dir / "test", 10, 2, -1, has_labels);
  return dir;
}

inline nlohmann::json tiny_options(const fs::path& data) {
  return {{"data", data.string()},
          {"batch_size", 8},
          {"seed", 7},
          {"backbone",
           {{"arch", "custom"},
            {"embed_dim", 32},
            {"depth", 2},
            {"heads", 2},
            {"patch_size", 8},
            {"layerscale", .1},
            {"drop_path", .3}}},
          {"crops", {{"global_size", 32}, {"local_size", 16}, {"local_count", 2}}},
          {"heads", {{"dino", {{"prototypes", 64}, {"hidden", 48}, {"bottleneck", 16}}}}},
          {"loss", {{"centering", "softmax"}}},
          {"schedule",
           {{"steps", 12},
            {"warmup_steps", 3},
            {"base_lr", .02},
            {"teacher_temperature_steps", 6},
            {"freeze_last_layer_steps", 2}}},
          {"run",
           {{"precision", "fp32"},
            {"device", "cpu"},
            {"checkpoint_every", 4},
            {"keep_checkpoints", 2},
            {"heldout_every", 5}}}};
}

// Of a distillation of two from the final checkpoint of such a run.
inline nlohmann::json two_students(const fs::path& data, const fs::path& teacher) {
  auto options = tiny_options(data);
  for (const char* key : {"backbone", "heads"}) options.erase(key);
  options["teacher"] = teacher.string();
  options["dino_head"] = {{"hidden", 32}, {"bottleneck", 16}};
  options["students"] = {{"wide",
                          {{"arch", "custom"},
                           {"embed_dim", 24},
                           {"depth", 2},
                           {"heads", 2},
                           {"patch_size", 8},
                           {"layerscale", .1},
                           {"dino_head", {{"hidden", 40}}}}},
                         {"deep",
                          {{"arch", "custom"},
                           {"embed_dim", 16},
                           {"depth", 3},
                           {"heads", 2},
                           {"patch_size", 8},
                           {"registers", 1},
                           {"layerscale", .1}}}};
  return options;
}

inline std::string text_of_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace paddock::jobs
