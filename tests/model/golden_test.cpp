// The parts of the model against values of the reference implementation.
#include <numeric>

#include "golden.h"
#include "model/dino_head.h"
#include "model/dino_loss.h"
#include "model/ibot_loss.h"
#include "model/koleo_loss.h"
#include "model/schedules.h"
#include "model/sinkhorn_knopp.h"
#include "model/softmax_centering.h"
#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

VisionTransformerOptions options_of(const GoldenCase& golden) {
  VisionTransformerOptions options;
  options.image_height = options.image_width = golden.integer("img_size");
  options.patch_size = golden.integer("patch_size");
  options.embed_dim = golden.integer("embed_dim");
  options.depth = golden.integer("depth");
  options.heads = golden.integer("num_heads");
  options.registers = golden.integer("num_register_tokens");
  options.ffn = golden.config.at("ffn_layer") == "mlp" ? "mlp" : "swiglu";
  options.interpolate_antialias = golden.config.at("interpolate_antialias");
  options.interpolate_offset = golden.number("interpolate_offset");
  return options;
}

void expect_features(const GoldenCase& golden, const Features& features, const std::string& prefix) {
  golden.expect_near(features.cls_BD, prefix + "x_norm_clstoken");
  golden.expect_near(features.patches_BND, prefix + "x_norm_patchtokens");
  golden.expect_near(features.prenorm_BTD, prefix + "x_prenorm");
  if (golden.has(prefix + "x_norm_regtokens"))
    golden.expect_near(features.registers_BRD, prefix + "x_norm_regtokens");
}

TEST(GoldenManifest, HasOnlyCasesThatATestIsFor) {
  const std::set<std::string> kinds{"backbone",  "head",          "loss_dino", "loss_ibot",  "loss_koleo",
                                    "centering", "masking_stats", "schedules", "train_steps"};
  const auto manifest = golden_manifest();
  for (const auto& entry : manifest.at("cases"))
    EXPECT_TRUE(kinds.contains(entry.at("kind"))) << entry.at("name");
}

TEST(VisionTransformerGolden, GivesTheReferencesFeaturesLayersAndAttention) {
  for (const auto& golden : golden_cases("backbone")) {
    VisionTransformer network(options_of(golden));
    load_weights(network.parameters(), flatten_chunks(golden.below("weights.")));
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < golden.config.at("sizes").size(); ++i) {
      const std::string prefix = std::to_string(i) + ".";
      const auto& images = golden.at(prefix + "input");
      expect_features(golden, network.forward_features(images), prefix + "plain.");
      if (golden.has(prefix + "masks"))
        expect_features(golden, network.forward_features(images, golden.at(prefix + "masks")),
                        prefix + "masked.");
      golden.expect_near(network.last_attention(images), prefix + "attention");
      const std::int64_t depth = network.options().depth, patch = network.options().patch_size;
      std::vector<std::int64_t> blocks;  // the last ones, as many as are there
      while (golden.has(prefix + "intermediate." + std::to_string(blocks.size()) + ".cls"))
        blocks.push_back(0);
      std::iota(blocks.begin(), blocks.end(), depth - static_cast<std::int64_t>(blocks.size()));
      const auto layers = network.intermediate_layers(images, blocks);
      for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        const std::string name = prefix + "intermediate." + std::to_string(layer) + ".";
        golden.expect_near(layers[layer].cls_BD, name + "cls");
        const auto map = layers[layer].patches_BND.transpose(1, 2).reshape(
            {images.size(0), network.options().embed_dim, images.size(2) / patch, images.size(3) / patch});
        golden.expect_near(map, name + "patches");
      }
    }
    golden.expect_all_looked_at();
  }
}

TEST(DinoHeadGolden, GivesTheReferencesScoresAndGradients) {
  for (const auto& golden : golden_cases("head")) {
    DinoHead head({golden.integer("in_dim"), golden.integer("out_dim"), golden.integer("hidden_dim"),
                   golden.integer("bottleneck_dim"), golden.integer("nlayers")});
    load_weights(head.parameters(), golden.below("weights."));
    for (auto& [name, tensor] : head.parameters()) torch::Tensor(tensor).set_requires_grad(true);
    const auto input = golden.at("input").clone().set_requires_grad(true);
    const auto scores = head.forward(input);
    golden.expect_near(scores, "output");
    scores.backward(golden.at("grad_output"));
    golden.expect_near(input.grad(), "grad_input");
    for (const auto& [name, tensor] : head.parameters()) golden.expect_near(tensor.grad(), "grad." + name);
    golden.expect_all_looked_at();
  }
}

TEST(DinoLossGolden, GivesTheReferencesTargetsLossAndGradients) {
  for (const auto& golden : golden_cases("loss_dino")) {
    OneRank ranks;
    const auto targets = sinkhorn_knopp(golden.at("teacher_logits"), golden.number("teacher_temp"),
                                        golden.config.value("n_iterations", 3), ranks);
    golden.expect_near(targets, "sinkhorn");
    std::vector<torch::Tensor> crops;
    for (int i = 0; golden.has("student." + std::to_string(i)); ++i)
      crops.push_back(golden.at("student." + std::to_string(i)).clone().set_requires_grad(true));
    ASSERT_EQ(crops.size(), golden.count("student."));
    const auto loss = dino_local_sum(torch::cat(crops), targets, static_cast<std::int64_t>(crops.size()),
                                     golden.number("student_temp"));
    golden.expect_near(loss, "loss");
    loss.backward();
    for (std::size_t i = 0; i < crops.size(); ++i)
      golden.expect_near(crops[i].grad(), "grad_student." + std::to_string(i));
    golden.expect_all_looked_at();
  }
}

TEST(IbotLossGolden, GivesTheReferencesTargetsLossAndGradient) {
  for (const auto& golden : golden_cases("loss_ibot")) {
    OneRank ranks;
    const auto targets = sinkhorn_knopp(golden.at("teacher_logits"), golden.number("teacher_temp"),
                                        golden.config.value("n_iterations", 3), ranks);
    golden.expect_near(targets, "sinkhorn");
    const auto scores = golden.at("student").clone().set_requires_grad(true);
    const auto loss = ibot_loss(scores, targets, golden.at("masks_weight"), golden.at("masks").size(0),
                                golden.number("student_temp"));
    golden.expect_near(loss, "loss");
    loss.backward();
    golden.expect_near(scores.grad(), "grad_student");
    golden.expect_all_looked_at();
  }
}

TEST(KoleoLossGolden, GivesTheReferencesLossAndGradient) {
  for (const auto& golden : golden_cases("loss_koleo")) {
    const auto features = golden.at("input").clone().set_requires_grad(true);
    const auto loss = koleo_loss(features);
    golden.expect_near(loss, "loss");
    loss.backward();
    golden.expect_near(features.grad(), "grad_input");
    golden.expect_all_looked_at();
  }
}

TEST(SoftmaxCenteringGolden, GivesTheReferencesTargetsAndCenter) {
  for (const auto& golden : golden_cases("centering")) {
    OneRank ranks;
    SoftmaxCentering centering(golden.at("0.teacher_logits").size(1), golden.number("center_momentum"));
    for (int i = 0; golden.has(std::to_string(i) + ".teacher_logits"); ++i) {
      const std::string call = std::to_string(i) + ".";
      const auto& scores = golden.at(call + "teacher_logits");
      golden.expect_near(centering.targets(scores, golden.number("teacher_temp")), call + "probs");
      centering.update({scores}, Shards(ranks, 1));
    }
    golden.expect_near(centering.center(), "center_after");
    golden.expect_all_looked_at();
  }
}

// How long the last layer waits is not in the config: until its first value that is not 0.
std::int64_t frozen_steps(const torch::Tensor& values) {
  return values.ne(0).nonzero()[0].item<std::int64_t>();
}

TEST(SchedulesGolden, GivesTheReferencesValueAtEveryStep) {
  for (const auto& golden : golden_cases("schedules")) {
    for (const auto& [name, config] : golden.config.items()) {
      CosineSchedule schedule{config.at("base_value"),
                              config.at("final_value"),
                              config.at("total_iters"),
                              config.value("warmup_iters", std::int64_t{0}),
                              config.value("start_warmup_value", 0.0),
                              name == "last_layer_lr" ? frozen_steps(golden.at(name)) : 0};
      std::vector<double> values;
      for (std::int64_t step = 0; step < golden.at(name).numel(); ++step) values.push_back(schedule.at(step));
      golden.expect_near(torch::tensor(values, torch::kFloat64), name);
    }
    golden.expect_all_looked_at();
  }
}

}  // namespace
}  // namespace paddock::model
