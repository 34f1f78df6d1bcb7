// tests/jobs/model_command_case.h – a small network's file and five pictures, for tests of `paddock-run model`.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/decode.h"
#include "data/resize.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/model/model_command.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"
#include "model/vision_transformer.h"
#include "storage/checkpoint.h"
#include "storage/safetensors.h"
#include "tests/jobs/drawn_pictures.h"
#include "tests/jobs/tiny_run.h"
#include "tests/storage/zip_archive.h"

namespace paddock::jobs {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;

// Two heads of 64: what a file without their number means.
inline model::VisionTransformerOptions tiny() {
  model::VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 128;
  options.depth = 2;
  options.heads = 2;
  options.registers = 3;
  options.layerscale = .1;
  options.interpolate_antialias = true;
  options.interpolate_offset = 0;
  return options;
}

inline model::VisionTransformer network_of(const model::VisionTransformerOptions& options) {
  model::VisionTransformer network(options);
  network.initialize(11);
  return network;
}

inline void write_tensors(const fs::path& path, const model::NamedTensors& tensors) {
  storage::RealDisk disk;
  std::vector<storage::TensorBytes> bytes;
  for (const auto& [name, tensor] : tensors) bytes.push_back(bytes_of_tensor(name, tensor));
  value_or_throw(storage::write_safetensors(disk, path, bytes), "writing");
}

inline model::TensorMap read_tensors(const fs::path& path) {
  storage::RealDisk disk;
  return tensors_of_bytes(value_or_throw(storage::read_safetensors(disk, path), "reading").contents.tensors);
}

inline data::Image read_png(const fs::path& path) {
  const std::string text = text_of_file(path);
  return value_or_throw(data::decode_image(storage::bytes_of(text)), path.string());
}

// As torch.save writes a state dict of contiguous float32 tensors, each in a storage of its own.
inline std::string torch_file_of(const model::NamedTensors& tensors) {
  const auto text = [](const std::string& of) { return "X" + storage::little_endian(of.size(), 4) + of; };
  const auto number = [](std::int64_t of) {
    return "J" + storage::little_endian(static_cast<std::uint64_t>(of), 4);
  };
  const auto tuple = [&](torch::IntArrayRef of) {
    std::string numbers;
    for (const std::int64_t one : of) numbers += number(one);
    return "(" + numbers + "t";
  };
  std::string pickle = "\x80\x02}(";
  std::vector<storage::ArchiveEntry> entries(1);
  for (const auto& [name, tensor] : tensors) {
    const std::string key = std::to_string(entries.size() - 1);
    pickle += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
              "ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(tensor.numel()) + "tQ" + number(0) +
              tuple(tensor.sizes()) + tuple(tensor.strides()) + "\x89" + "ccollections\nOrderedDict\n)RtR";
    entries.push_back(
        {"tiny/data/" + key, {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  entries[0] = {"tiny/data.pkl", pickle + "u."};
  return storage::zip_archive(entries);
}

class ModelCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_tensors(weights(), network_.parameters());
    for (int i = 0; i < 5; ++i)
      write_bytes(path("pictures/" + std::to_string(i) + ".png"),
                  data::encode_png(drawn_picture(static_cast<std::uint64_t>(i), 60 + 10 * i, 50)));
  }

  fs::path path(const std::string& name) const { return scratch_.path() / name; }
  fs::path weights() const { return path("tiny.safetensors"); }

  int run(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    return run_model_command(words, out_, err_);
  }
  int run_on_pictures(const std::string& command, std::vector<std::string> more) {
    std::vector<std::string> words = {command,  "--weights", weights().string(), "--input", pictures(),
                                      "--size", "32"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string pictures() const { return path("pictures").string(); }
  json info_of(const fs::path& of, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"info", "--weights", of.string(), "--output", "json"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(words), kDone) << err();
    return json::parse(out());
  }
  // One sentence on the error stream and nothing else.
  void expect_refused(const std::vector<std::string>& words, int code, const std::string& sentence) {
    EXPECT_EQ(run(words), code) << err();
    EXPECT_THAT(err(), AllOf(testing::StartsWith("paddock-run: "), HasSubstr(sentence)));
    EXPECT_EQ(std::count(err_.view().begin(), err_.view().end(), '\n'), 1) << err();
    EXPECT_EQ(out(), "");
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  // The squares that the commands make of the pictures with --size 32.
  std::vector<data::Image> squares() const {
    std::vector<data::Image> squares;
    for (int i = 0; i < 5; ++i)
      squares.push_back(
          evaluate::square_of(read_png(path("pictures/" + std::to_string(i) + ".png")), {32, .875, false}));
    return squares;
  }
  evaluate::FeatureTable expected_features(const std::string& what) const {
    const std::vector<data::Image> of = squares();
    std::vector<const data::Image*> pointers;
    for (const data::Image& square : of) pointers.push_back(&square);
    return evaluate::features_of(network_, data::usual_normalization(3), pointers, what, 16, 1,
                                 [](std::size_t) {});
  }

  // A folder with `network` as the teacher of a run.
  fs::path write_checkpoint(const model::VisionTransformer& network, const json& state,
                            std::string* hash = nullptr) {
    storage::RealDisk disk;
    EXPECT_TRUE(storage::claim_run(disk, path("run"), Fence(1)));
    storage::CheckpointContent content;
    content.step = state.at("step");
    content.fence = Fence(1);
    content.state = state;
    const model::NamedTensors named = model::with_prefix("teacher.backbone.", network.parameters());
    std::vector<storage::TensorBytes> tensors;
    for (const auto& [name, tensor] : named) tensors.push_back(bytes_of_tensor(name, tensor));
    content.files.emplace_back("teacher.safetensors", tensors);
    const auto written = value_or_throw(storage::write_checkpoint(disk, path("run"), content), "writing");
    if (hash != nullptr) *hash = written.hash;
    return written.path;
  }

  const ScratchFolder scratch_{"paddock-model-command"};
  const model::VisionTransformer network_ = network_of(tiny());

 private:
  std::ostringstream out_, err_;
};

}  // namespace paddock::jobs
