// jobs/spec/evaluate.h – what an `evaluate` job may be asked: models and a dataset in, numbers and a report
// out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

struct EvaluateLinear {
  bool enabled = true;
  std::vector<double> learning_rates = {1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1};  // for a batch of 256
  std::int64_t epochs = 30;                                                      // over the train split
  std::int64_t batch = 128;
};

struct EvaluateOptions {
  std::string data;       // dataset folder
  std::string data_test;  // empty: the test/ in data
  std::map<std::string, std::string>
      models;                  // name → checkpoint folder; the averaged (teacher) weights are judged
  std::string random_init_of;  // one of the models: its architecture with its initial weights as well
  std::map<std::string, std::string> runs;  // name → run folder whose loss curves are drawn
  std::int64_t image_size = 64;             // pixels
  std::string sides =
      "refuse";  // what is done where a model's patch does not divide image_size: refuse, resize, pad
  std::string fit = "crop";        // crop: the centre; pad: white to a square, nothing is lost
  double crop_ratio = .875;        // image_size / short side after resizing, then the centre is cut out
  std::string features = "cls";    // cls, or cls_patchmean: with the mean of the patch tokens behind it
  std::string precision = "auto";  // fp32, bf16, or auto: bf16 where the CPU multiplies it natively
  std::int64_t batch = 64;         // pictures a forward pass
  std::vector<std::int64_t> neighbours = {10, 20, 100};  // k of k-NN; clipped to the train split
  double temperature = .07;                              // of the votes' softmax
  EvaluateLinear linear;
  std::int64_t bootstrap = 1'000;  // resamples of an interval. More: steadier bounds, slower
  std::int64_t pictures = 6;       // shown with attention and principal components
  std::int64_t seed = 0;
};

const OptionTable<EvaluateOptions>& evaluate_table();

}  // namespace paddock::spec
