// What is refused of a file of weights, and in which words.
#include "tests/model/weight_cases.h"

namespace paddock::model {
namespace {

TEST(WeightNames, EverythingThatDoesNotFitIsSaidAtOnceInTheFilesWords) {
  const auto network = drawn(by_size(tiny(), false));
  auto file = under("dinov2.", hugging_face(network, kOnDisk));
  file.erase("dinov2.encoder.layer.1.attention.attention.key.bias");
  file.erase("dinov2.layernorm.weight");
  file["dinov2.encoder.layer.0.mlp.fc1.weight"] = torch::ones({3, 5});
  file["dinov2.encoder.layer.0.attention.attention.value.weight"] = torch::ones({128, 64});
  file["dinov2.encoder.layer.0.norm1.bias"] = torch::ones({128}, torch::kInt64);
  file["dinov2.encoder.layer.0.norm3.bias"] = torch::ones({128});
  file["dinov2.encoder.layer.0.norm2.gamma"] = torch::ones({128});
  const auto message = refusal(file);
  for (const char* part :
       {"read as hf-dinov2", "missing dinov2.encoder.layer.1.attention.attention.key.bias",
        "missing dinov2.layernorm.weight",
        "dinov2.encoder.layer.0.mlp.fc1.weight is [3, 5], must be [512, 128]",
        "dinov2.encoder.layer.0.attention.attention.value.weight is [128, 64], must be [128, 128]",
        "dinov2.encoder.layer.0.norm1.bias is long int, must be a float type",
        "unknown dinov2.encoder.layer.0.norm3.bias", "unknown dinov2.encoder.layer.0.norm2.gamma"})
    EXPECT_THAT(message, HasSubstr(part));
  EXPECT_THAT(message, Not(HasSubstr("missing dinov2.embeddings")));
}

TEST(WeightNames, ABlockThatIsMissingOrTwiceIsNamed) {
  const auto network = drawn(tiny());
  auto file = official(network);
  rename(file, "blocks.1.norm1.weight", "blocks.2.norm1.weight");
  const auto message = refusal(file);
  for (const char* part : {"missing blocks.1.norm1.weight", "missing blocks.2.norm1.bias"})
    EXPECT_THAT(message, HasSubstr(part));
  file = official(network);
  file.emplace("blocks.0.1.norm1.weight", torch::ones({128}));
  EXPECT_THAT(refusal(file),
              HasSubstr("blocks.0.1.norm1.weight and blocks.1.norm1.weight are the same parameter"));
  file = official(network);
  file.emplace("module.cls_token", torch::ones({1, 1, 128}));
  EXPECT_THAT(refusal(file), HasSubstr("module.cls_token"));
  file = official(network);
  file.emplace("blocks.123456789012345678901.norm1.weight", torch::ones({128}));
  EXPECT_THAT(refusal(file), HasSubstr("unknown blocks.123456789012345678901.norm1.weight"));
}

TEST(WeightNames, WhatHasNoArchitectureIsRefusedWithItsReason) {
  const auto network = drawn(tiny());
  auto file = official(network);
  file["pos_embed"] = torch::ones({1, 1 + 3 * 4, 128});
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 13 rows, which are no square and a class token"));
  file["pos_embed"] = torch::ones({1, 9, 128});  // an official file without the class token's row
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 9 rows"));
  file["pos_embed"] = torch::ones({10, 128});
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed is [10, 128]"));
  file = official(network);
  file["patch_embed.proj.weight"] = torch::ones({128, 3, 4, 2});
  EXPECT_THAT(refusal(file), HasSubstr("patches must be square"));
  file = official(network);
  std::erase_if(file, [](const auto& entry) { return entry.first.starts_with("blocks."); });
  EXPECT_THAT(refusal(file), HasSubstr("no blocks"));
  file = under("first.", official(network));
  file.merge(under("second.", official(network)));
  EXPECT_THAT(refusal(file), HasSubstr("several networks, under 'first.', 'second.'"));
  EXPECT_THAT(refusal({{"conv1.weight", torch::ones({4, 3, 7, 7})}}), HasSubstr("the first is conv1.weight"));
  EXPECT_THAT(refusal({}), HasSubstr("no weights of a ViT"));
}

TEST(WeightNames, NetworksThatCannotBeComputedAreRefusedByName) {
  const auto one = torch::ones({1});
  const auto patches = torch::ones({8, 3, 4, 4});
  const std::vector<std::pair<TensorMap, std::vector<std::string>>> refused{
      {{{"visual.conv1.weight", patches},
        {"visual.class_embedding", one},
        {"visual.transformer.resblocks.0.attn.in_proj_weight", one},
        {"visual.attn_pool.query", one}},
       {"CoCa", "pools by attention"}},
      {{{"vision_model.embeddings.patch_embedding.weight", patches}}, {"SigLIP", "no class token"}},
      {{{"patch_embed.proj.weight", patches},
        {"cls_token", one},
        {"blocks.0.gamma_1", one},
        {"blocks.0.attn.relative_position_bias_table", one}},
       {"BEiT", "relative position biases", "no bias of the keys"}},
      {{{"patch_embed.proj.weight", patches}, {"cls_token", one}, {"storage_tokens", one}},
       {"DINOv3", "RoPE"}},
      {{{"embeddings.patch_embeddings.weight", patches}, {"embeddings.cls_token", one}}, {"DINOv3"}},
      {{{"patch_embed.proj.weight", patches}, {"layers.0.blocks.0.norm1.weight", one}}, {"Swin", "windows"}},
  };
  for (const auto& [file, words] : refused)
    for (const auto& word : words) EXPECT_THAT(refusal(file), HasSubstr(word));
}

}  // namespace
}  // namespace paddock::model
