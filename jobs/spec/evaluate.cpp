#include "jobs/spec/evaluate.h"

#include "base/ids.h"

namespace paddock::spec {
namespace {

OptionTable<EvaluateLinear> linear_table() {
  return OptionTable<EvaluateLinear>()
      .optional("enabled", &EvaluateLinear::enabled, "fit a linear classifier on the cached features")
      .optional("learning_rates", &EvaluateLinear::learning_rates, Positive{},
                "tried side by side, for a batch of 256; the best on a held-out tenth of train is used")
      .optional("epochs", &EvaluateLinear::epochs, Between{1, 10'000}, "passes over the train split")
      .optional("batch", &EvaluateLinear::batch, Between{1, 65'536}, "rows a step")
      .check([](const EvaluateLinear& linear, Problems& problems) {
        if (linear.enabled && linear.learning_rates.empty())
          problems.push_back({"learning_rates", "is empty, must hold at least one"});
      });
}

OptionTable<EvaluateOptions> make_table() {
  return OptionTable<EvaluateOptions>()
      .required("data", &EvaluateOptions::data,
                "what has a train/ and a test/: a dataset of curate, or folders or tars of pictures in a "
                "folder a class; "
                "test is judged, train is the bank")
      .optional("data_test", &EvaluateOptions::data_test,
                "what is judged, where it is not in data; then data itself is the bank")
      .optional(
          "models", &EvaluateOptions::models,
          "name: checkpoint folder; the averaged (teacher) weights are judged. A name is " + name_allowed())
      .optional("random_init_of", &EvaluateOptions::random_init_of,
                "one of the models: the same architecture with its initial weights is judged too and "
                "compared against")
      .optional("runs", &EvaluateOptions::runs, "name: run folder whose loss curves are drawn")
      .optional("image_size", &EvaluateOptions::image_size, Between{8, 2048},
                "pixels; a multiple of every model's patch, unless sides allows others")
      .optional(
          "sides", &EvaluateOptions::sides, OneOf{"refuse", "resize", "pad"},
          "where a model's patch does not divide image_size: refuse; resize to the nearest size that it "
          "divides; pad with zeros at right and bottom")
      .optional("fit", &EvaluateOptions::fit, OneOf{"crop", "pad"},
                "crop: short side to size, centre cut out; pad: white to a square, for pictures that fill "
                "their frame")
      .optional("crop_ratio", &EvaluateOptions::crop_ratio, Between{0.25, 1.0},
                "image_size / short side after resizing; the centre is cut out; 1 keeps the whole short side")
      .optional("features", &EvaluateOptions::features, OneOf{"cls", "cls_patchmean"},
                "what of the last layer is used")
      .optional("precision", &EvaluateOptions::precision, OneOf{"auto", "fp32", "bf16"},
                "of the forward passes; auto: bf16 where the processor multiplies it natively")
      .optional("batch", &EvaluateOptions::batch, Between{1, 65'536}, "pictures a forward pass")
      .optional("neighbours", &EvaluateOptions::neighbours, Between{1, 1'000'000},
                "k of k-NN; clipped to the train split")
      .optional("temperature", &EvaluateOptions::temperature, Positive{}, "of the votes' softmax")
      .group("linear", &EvaluateOptions::linear, linear_table(), "linear probe")
      .optional("bootstrap", &EvaluateOptions::bootstrap, Between{100, 1'000'000}, "resamples of an interval")
      .optional("pictures", &EvaluateOptions::pictures, Between{0, 64},
                "shown with attention and principal components")
      .optional("seed", &EvaluateOptions::seed, "of every draw: probe, bootstrap, crops, pictures shown")
      .check([](const EvaluateOptions& options, Problems& problems) {
        if (!options.random_init_of.empty() && !options.models.contains(options.random_init_of))
          problems.push_back(
              {"random_init_of", "is '" + options.random_init_of + "', must be one of the names in models"});
        for (const auto& [name, checkpoint] : options.models)
          if (!is_name(name))
            problems.push_back({join_path("models", name), "is not a name, must be " + name_allowed()});
        if (options.neighbours.empty())
          problems.push_back({"neighbours", "is empty, must hold at least one"});
      });
}

}  // namespace

const OptionTable<EvaluateOptions>& evaluate_table() {
  static const OptionTable<EvaluateOptions> table = make_table();
  return table;
}

}  // namespace paddock::spec
