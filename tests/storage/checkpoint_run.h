// tests/storage/checkpoint_run.h – a small training run on any disk: writes checkpoints whose bytes say which
// they are.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/checkpoint.h"

namespace paddock::storage {

class CheckpointRun {
 public:
  explicit CheckpointRun(Disk& disk, fs::path dir = "/run") : disk_(disk), dir_(std::move(dir)) {}

  const fs::path& dir() const { return dir_; }
  fs::path step_dir(std::int64_t step) const {
    const std::string digits = std::to_string(step);
    return dir_ / "checkpoints" / ("step-" + std::string(10 - digits.size(), '0') + digits);
  }
  Result<void> claim(std::uint64_t fence) { return claim_run(disk_, dir_, Fence(fence)); }

  // `text` goes into every tensor and the state.
  Result<CheckpointInfo> write(std::int64_t step, std::uint64_t fence, const std::string& text) {
    const std::string weights = "weights " + text + std::string(40, '.');
    const std::string moments = "moments " + text;
    return write_checkpoint(disk_, dir_, content(step, fence, text, weights, moments));
  }

  // Points at the texts given, which must outlive it.
  static CheckpointContent content(std::int64_t step, std::uint64_t fence, const std::string& text,
                                   std::string_view weights, std::string_view moments) {
    const auto tensor = [](const char* name, std::string_view bytes) {
      return TensorBytes{name, "U8", {static_cast<std::int64_t>(bytes.size())}, bytes_of(bytes)};
    };
    return {.step = step,
            .fence = Fence(fence),
            .state = {{"text", text}, {"position", 64 * step}},
            .files = {{"model.safetensors", {tensor("student/weight", weights), tensor("student/bias", "b")}},
                      {"optimizer.safetensors", {tensor("moments", moments)}}}};
  }

  // Which text the newest whole checkpoint has in all its parts; a sentence when they disagree or there is
  // none.
  std::string newest_text(std::vector<std::string>* damaged = nullptr) {
    const auto checkpoint = load_newest_checkpoint(disk_, dir_, [&](const fs::path&, const Error& error) {
      if (damaged != nullptr) damaged->push_back(error.message);
    });
    if (!checkpoint) return std::string(name_of(checkpoint.error().code));
    return text_in(*checkpoint);
  }

  static std::string text_in(const Checkpoint& checkpoint) {
    const std::string text = checkpoint.state()["text"].get<std::string>();
    const bool agrees =
        text_of(checkpoint.tensor("student/weight")->bytes) == "weights " + text + std::string(40, '.') &&
        text_of(checkpoint.tensor("moments")->bytes) == "moments " + text &&
        checkpoint.state()["position"] == 64 * checkpoint.info().step;
    return agrees ? text : "parts of different checkpoints";
  }

 private:
  Disk& disk_;
  const fs::path dir_;
};

}  // namespace paddock::storage
