// Three whole training steps against the reference implementation: losses, gradients, clipping, AdamW and the teacher.
#include <algorithm>

#include "golden.h"
#include "model/adamw.h"
#include "model/gradient_sum.h"
#include "model/self_distillation.h"

namespace paddock::model {
namespace {

HeadedBackboneOptions options_of(const GoldenCase& golden) {
  HeadedBackboneOptions options;
  VisionTransformerOptions& backbone = options.backbone;
  backbone.image_height = backbone.image_width = golden.integer("global_size");
  backbone.patch_size = golden.integer("patch_size");
  backbone.embed_dim = golden.integer("embed_dim");
  backbone.depth = golden.integer("depth");
  backbone.heads = golden.integer("num_heads");
  backbone.registers = golden.integer("num_register_tokens");
  backbone.layerscale = golden.number("layerscale");
  backbone.ffn = golden.config.at("ffn_layer") == "mlp" ? "mlp" : "swiglu";
  const auto head = [](const nlohmann::json& json) {
    return DinoHeadOptions{0, json.at("prototypes"), json.at("hidden"), json.at("bottleneck"),
                           json.at("layers")};
  };
  options.dino_head = head(golden.config.at("dino"));
  if (golden.config.at("separate_ibot_head")) options.ibot_head = head(golden.config.at("ibot"));
  return options;
}

// A bias of the keys shifts all scores of a query alike, which softmax does not see: its gradient is 0 but for rounding, and
// AdamW makes steps of ±lr out of any rounding. So of qkv.bias only queries and values can be compared after a step.
torch::Tensor without_key_bias(const std::string& name, const torch::Tensor& tensor) {
  if (!name.ends_with("attn.qkv.bias")) return tensor;
  const auto thirds = tensor.chunk(3);
  return torch::cat({thirds[0], thirds[2]});
}

void expect_weights(const GoldenCase& golden, const NamedTensors& tensors, const std::string& prefix) {
  std::size_t compared = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!golden.has(prefix + name)) continue;
    golden.expect_near(without_key_bias(name, tensor), without_key_bias(name, golden.at(prefix + name)),
                       prefix + name);
    ++compared;
  }
  EXPECT_EQ(compared, golden.count(prefix)) << prefix << ": golden tensors that nothing was compared with";
}

struct InitialWeights {
  TensorMap student, teacher;
};

// These files' init.* are, to the bit, the weights after step 0: they were saved as references to tensors that the step
// then changed. The true ones follow from what else is stored, since the first step can be undone: AdamW's first moments
// come from one gradient alone, so its update is lr·g/(|g|+ε), and the moving average is linear. What is then checked
// independently of this: the losses and gradients of step 0, which only the true weights give, and all of steps 1 and 2
// (with moments of several gradients). The weights after step 0 alone agree by construction.
InitialWeights initial_weights(const GoldenCase& golden) {
  InitialWeights initial{golden.below("init.student."), golden.below("init.teacher.")};
  const auto is_saved_late = [&](const auto& named) {
    return torch::equal(named.second, golden.at("0.after.student." + named.first));
  };
  if (!std::all_of(initial.student.begin(), initial.student.end(), is_saved_late)) return initial;
  const auto& hyper = golden.config.at("hyper").at(0);
  const double momentum = hyper.at("momentum"), clip = hyper.at("clip");
  for (auto& [name, weight] : initial.student) {
    const auto& multipliers = golden.config.at("multipliers").at(name);
    const double lr = multipliers.at("lr").get<double>() *
                      hyper.at(multipliers.at("last_layer") ? "last_layer_lr" : "lr").get<double>();
    const double decay = multipliers.at("wd").get<double>() * hyper.at("weight_decay").get<double>();
    const double norm = golden.at("0.grad_norm." + name.substr(0, name.find('.'))).item<double>();
    const auto gradient =
        golden.at("0.grad." + name).to(torch::kFloat64) * std::min(1., clip / (norm + 1e-6));
    const auto after = golden.at("0.after.student." + name).to(torch::kFloat64);
    weight = ((after + lr * gradient / (gradient.abs() + 1e-8)) / (1 - lr * decay)).to(torch::kFloat32);
    const auto average = golden.at("0.after.teacher." + name).to(torch::kFloat64);
    initial.teacher[name] = ((average - (1 - momentum) * after) / momentum).to(torch::kFloat32);
  }
  return initial;
}

TEST(TrainingStepsGolden, GiveTheReferencesLossesGradientsAndWeights) {
  for (const auto& golden : golden_cases("train_steps")) {
    SCOPED_TRACE(golden.name);
    OneRank ranks;
    const Shards shards(ranks, 1);
    HeadedBackbone student(options_of(golden)), teacher(options_of(golden));
    const auto initial = initial_weights(golden);
    load_weights(student.parameters(), initial.student);
    load_weights(teacher.parameters(), initial.teacher);
    FlatParameters student_parameters(student.parameters(), true),
        teacher_parameters(teacher.parameters(), false);
    const LayerwiseDecay layers{golden.number("layerwise_decay"), golden.number("patch_embed_lr_mult"),
                                golden.integer("depth")};
    for (const auto& [name, wanted] : golden.config.at("multipliers").items()) {
      const auto given = multipliers_of(name, layers);
      EXPECT_NEAR(given.lr, wanted.at("lr"), 1e-12) << name;
      EXPECT_EQ(given.wd, wanted.at("wd")) << name;
      EXPECT_EQ(given.is_last_layer, wanted.at("last_layer")) << name;
    }
    GradientSum sum(student_parameters, shards);
    AdamW optimiser(student_parameters, teacher_parameters, sum.slice(), layers);
    TeacherTargets targets(
        golden.config.at("centering") == "centering" ? Centering::kSoftmax : Centering::kSinkhornKnopp,
        student.dino_head.options().prototypes, student.patch_head().options().prototypes);
    LossOptions options;
    options.local_crops = golden.integer("local_crops");
    options.koleo_weight = golden.number("koleo_weight");

    for (std::size_t i = 0; i < golden.config.at("hyper").size(); ++i) {
      SCOPED_TRACE(i);
      const auto& hyper = golden.config.at("hyper")[i];
      const std::string step = std::to_string(i) + ".";
      const CropBatch batch{golden.at(step + "global_crops"), golden.at(step + "local_crops"),
                            golden.at(step + "masks"), golden.at(step + "mask_indices"),
                            golden.at(step + "masks_weight")};
      student_parameters.zero_gradients();
      const auto taught = teach(teacher, targets, {batch}, hyper.at("teacher_temp"), shards);
      const auto losses = student_losses(student, taught[0], batch, options);
      golden.expect_near(losses.dino_local, step + "loss.dino_local_crops_loss");
      golden.expect_near(losses.dino_global, step + "loss.dino_global_crops_loss");
      golden.expect_near(losses.koleo, step + "loss.koleo_loss");
      golden.expect_near(losses.ibot, step + "loss.ibot_loss");
      losses.total.backward();
      NamedTensors gradients;
      for (std::size_t p = 0; p < student_parameters.tensors().size(); ++p)
        gradients.emplace_back(student_parameters.tensors()[p].first, student_parameters.gradient_views()[p]);
      if (i == 0) {
        EXPECT_EQ(golden.count("0.grad."), gradients.size());
        for (const auto& [name, gradient] : gradients) {
          if (name.ends_with("attn.qkv.bias")) {
            EXPECT_LT(gradient.chunk(3)[1].abs().max().item<double>(), 1e-6) << name;
          }
        }
      }
      expect_weights(golden, gradients, step + "grad.");
      sum.add_shard();
      const auto gradient = sum.reduce();
      const auto clipped =
          clip_gradients(student_parameters, sum.slice(), gradient, 1, hyper.at("clip"), ranks);
      for (std::size_t network = 0; network < clipped.norms.size(); ++network)
        golden.expect_near(torch::tensor(clipped.norms[network]),
                           step + "grad_norm." + student_parameters.networks()[network].name);
      optimiser.step(
          gradient, clipped.scales,
          {hyper.at("lr"), hyper.at("last_layer_lr"), hyper.at("weight_decay"), hyper.at("momentum")});
      if (i + 1 == golden.config.at("hyper").size()) {
        EXPECT_EQ(golden.count(step + "after.student."), student.parameters().size());
      }
      expect_weights(golden, student.parameters(), step + "after.student.");
      expect_weights(golden, teacher.parameters(), step + "after.teacher.");
    }
    golden.expect_all_looked_at();
  }
}

}  // namespace
}  // namespace paddock::model
