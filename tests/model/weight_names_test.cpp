#include "model/weight_names.h"

#include "tests/model/weight_cases.h"

namespace paddock::model {
namespace {

TEST(WeightNames, OfficialFilesAreTakenAsTheyAre) {
  for (const auto& options : {tiny(), with_registers(tiny()), gated(tiny()), unscaled(tiny())}) {
    const auto network = drawn(options);
    const auto recognised = expect_same_network(official(network), "dinov2", network);
    EXPECT_THAT(recognised.left_out, ElementsAre());
  }
}

TEST(WeightNames, BlocksNumberedWithinChunksAreFlattened) {
  auto options = tiny();
  options.depth = 12;
  const auto network = drawn(options);
  TensorMap chunked;
  for (const auto& [name, tensor] : official(network)) {
    if (!name.starts_with("blocks."))
      chunked.emplace(name, tensor);
    else
      chunked.emplace("blocks." + std::to_string(std::stoi(name.substr(7)) / 3) + name.substr(6), tensor);
  }
  EXPECT_TRUE(chunked.contains("blocks.3.11.norm1.weight"));
  expect_same_network(chunked, "dinov2", network);
}

TEST(WeightNames, OfATrainingCheckpointTheTeachersBackboneIsTakenAndTheRestIsNamed) {
  const auto teacher = drawn(tiny());
  TensorMap student = official(teacher);
  for (auto& [name, tensor] : student) tensor = tensor + 1;
  auto file = under("teacher.backbone.", official(teacher));
  file.merge(under("student.module.backbone._orig_mod.", student));
  file.emplace("teacher.dino_head.last_layer.weight_g", torch::ones({8, 1}));
  file.emplace("student.module.ibot_head.mlp.0.bias", torch::ones({8}));
  file.emplace("optimizer.state.0.exp_avg", torch::ones({8}));
  const auto recognised = expect_same_network(file, "dinov2", teacher);
  EXPECT_EQ(recognised.left_out.size(), student.size() + 3);
  for (const char* name : {"teacher.dino_head.last_layer.weight_g", "student.module.ibot_head.mlp.0.bias",
                           "optimizer.state.0.exp_avg", "student.module.backbone._orig_mod.cls_token"})
    EXPECT_THAT(recognised.left_out, ::testing::Contains(name));
}

TEST(WeightNames, AnyPrefixIsTakenButNothingUnknownBesideIt) {
  const auto network = drawn(tiny());
  for (const char* prefix : {"module.", "student.backbone.", "model.encoder.", "teacher."})
    expect_same_network(under(prefix, official(network)), "dinov2", network);
  auto file = under("pretrained.", official(network));
  file.emplace("depth_neck.weight", torch::ones({2}));
  EXPECT_THAT(refusal(file), HasSubstr("unknown depth_neck.weight"));
}

TEST(WeightNames, HuggingFacesProjectionsAreJoined) {
  for (const auto& words : {kOnDisk, kInMemory}) {
    for (const auto& options :
         {by_size(tiny(), false), with_registers(tiny()), by_size(gated(tiny()), false)}) {
      const auto network = drawn(options);
      const auto file = hugging_face(network, words);
      expect_same_network(file, "hf-dinov2", network);
      for (const char* prefix : {"dinov2.", "dinov2_with_registers."}) {
        auto classifier = under(prefix, file);
        classifier.emplace("classifier.weight", torch::ones({10, 256}));
        const auto recognised = expect_same_network(classifier, "hf-dinov2", network);
        EXPECT_THAT(recognised.left_out, ElementsAre("classifier.weight"));
      }
    }
  }
}

TEST(WeightNames, HuggingFacesPlainTransformerHasItsOwnNamesAndEpsilon) {
  auto options = by_size(tiny(), false);
  options.layerscale = 0;
  options.norm_epsilon = 1e-12;
  auto network = drawn(options);
  const torch::NoGradGuard no_grad;
  set_zero(network, "mask_token");
  TensorMap file = hugging_face_plain(network, false);
  expect_same_network(hugging_face_plain(network, true), "hf-vit", network);
  file.emplace("pooler.dense.weight", torch::ones({128, 128}));
  EXPECT_THAT(expect_same_network(file, "hf-vit", network).left_out, ElementsAre("pooler.dense.weight"));
  expect_same_network(under("vit.", file), "hf-vit", network);
}

TEST(WeightNames, TimmsRegistersGatesAndMissingTokensAreUnderstood) {
  auto registers = with_registers(tiny());
  for (const auto& options :
       {by_size(tiny(), true), registers, gated(registers), by_size(gated(tiny()), true)}) {
    auto network = drawn(options);
    const torch::NoGradGuard no_grad;
    set_zero(network, "mask_token");
    if (options.registers > 0) set_class_position_zero(network);
    auto file = timm(network);
    file.emplace("head.weight", torch::ones({10, 128}));
    file.emplace("fc_norm.bias", torch::ones({128}));
    const auto recognised = expect_same_network(file, "timm-dinov2", network);
    EXPECT_THAT(recognised.left_out, ElementsAre("fc_norm.bias", "head.weight"));
  }
}

TEST(WeightNames, PlainTransformersOfOtherMethodsAreComputedWithoutLayerScale) {
  const torch::NoGradGuard no_grad;
  auto dino = drawn(unscaled(tiny()));
  set_zero(dino, "mask_token");
  TensorMap plain = official(dino);
  plain.erase("mask_token");
  expect_same_network(plain, "dino", dino);

  auto checkpoint = under("teacher.backbone.", plain);
  checkpoint.merge(under("student.module.backbone.", plain));
  checkpoint.emplace("teacher.head.last_layer.weight_v", torch::ones({8, 4}));
  expect_same_network(checkpoint, "dino", dino);

  auto ibot_file = official(drawn(unscaled(tiny())));
  rename(ibot_file, "mask_token", "masked_embed");
  expect_same_network(ibot_file, "ibot", drawn(unscaled(tiny())));
}

TEST(WeightNames, FixedPositionsAreThoseOfMaeOrMoco) {
  const torch::NoGradGuard no_grad;
  auto options = by_size(unscaled(tiny()), false);
  auto mae = drawn(options);
  set_zero(mae, "mask_token");
  set_class_position_zero(mae);
  TensorMap encoder = official(mae);
  encoder.erase("mask_token");
  expect_same_network(encoder, "mae", mae);

  auto whole = under("model.", encoder);
  whole.emplace("model.mask_token", torch::ones({1, 1, 64}));
  whole.emplace("model.decoder_embed.weight", torch::ones({64, 128}));
  whole.emplace("model.decoder_blocks.0.norm1.weight", torch::ones({64}));
  EXPECT_THAT(
      expect_same_network(whole, "mae", mae).left_out,
      ElementsAre("model.decoder_blocks.0.norm1.weight", "model.decoder_embed.weight", "model.mask_token"));

  options.embed_dim = 384;
  options.heads = 12;
  auto moco = drawn(options);
  set_zero(moco, "mask_token");
  set_class_position_zero(moco);
  encoder = official(moco);
  encoder.erase("mask_token");
  EXPECT_THAT(refusal(encoder), HasSubstr("12 heads if it is of MoCo v3"));
  auto both = under("state_dict.module.base_encoder.", encoder);
  both.merge(under("state_dict.module.momentum_encoder.", encoder));
  both.emplace("state_dict.module.base_encoder.head.0.weight", torch::ones({8, 8}));
  both.emplace("state_dict.module.predictor.0.weight", torch::ones({8, 8}));
  expect_same_network(both, "moco-v3", moco);
}

TEST(WeightNames, HeadsAreGivenOrThoseOfThePublishedWidth) {
  auto options = tiny();
  options.heads = 8;
  const auto network = drawn(options);
  expect_same_network(official(network), "dinov2", network, 8);
  EXPECT_THAT(refusal(official(network), 3), HasSubstr("heads must divide the width 128, and 3 does not"));
  EXPECT_THAT(refusal(official(network), 0), HasSubstr("heads must divide the width 128"));
  options.embed_dim = 48;
  EXPECT_THAT(refusal(official(drawn(options))), HasSubstr("the number of heads is needed"));
  options = unscaled(tiny());
  options.embed_dim = 1280;
  options.depth = 1;
  auto huge = official(drawn(options));
  huge.erase("mask_token");
  EXPECT_EQ(recognise_weights(huge, std::nullopt).options.heads, 16);
}

TEST(WeightNames, ARectangularTableOfPositionsNeedsItsGrid) {
  auto options = tiny();
  options.image_height = 3 * 4;
  options.image_width = 5 * 4;
  const auto file = official(drawn(options));
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 16 rows"));
  for (const Grid grid : {Grid{3, 5}, Grid{5, 3}, Grid{1, 15}}) {
    const auto recognised = recognise_weights(file, 2, grid);
    EXPECT_EQ(recognised.options.image_height, 4 * grid.rows);
    EXPECT_EQ(recognised.options.image_width, 4 * grid.columns);
    EXPECT_TRUE(torch::equal(recognised.backbone.at("pos_embed"), file.at("pos_embed")));
  }
  try {
    recognise_weights(file, 2, Grid{4, 4});
    ADD_FAILURE() << "a grid of another length fits";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 16 rows, but a class token and a grid of 4x4 patches need 17"));
  }
  // A square number of patches need not be a square of them.
  options.image_height = 2 * 4;
  options.image_width = 8 * 4;
  EXPECT_EQ(recognise_weights(official(drawn(options)), 2, Grid{2, 8}).options.image_width, 32);
}

TEST(WeightNames, ChannelsAreThoseOfThePatchEmbedding) {
  for (const std::int64_t channels : {1, 2, 4, 7}) {
    auto options = tiny();
    options.channels = channels;
    const auto network = drawn(options);
    const auto recognised = recognise_weights(official(network), 2);
    EXPECT_EQ(recognised.options.channels, channels);
    VisionTransformer loaded(recognised.options);
    load_weights(loaded.parameters(), recognised.backbone);
    const auto images = torch::randn({1, channels, 12, 12});
    EXPECT_TRUE(torch::equal(loaded.forward_features(images).prenorm_BTD,
                             network.forward_features(images).prenorm_BTD));
    EXPECT_THROW(loaded.forward_features(torch::zeros({1, channels + 1, 12, 12})), std::invalid_argument);
  }
}

TEST(WeightNames, HuggingFacesNamesGoBackToTheSameNetwork) {
  for (const auto& options :
       {by_size(tiny(), false), with_registers(tiny()), by_size(gated(tiny()), false)}) {
    const auto network = drawn(options);
    const auto wanted = hugging_face(network, kOnDisk);
    const auto given = hugging_face_names(network);
    EXPECT_EQ(given.size(), wanted.size());
    for (const auto& [name, tensor] : given) {
      ASSERT_TRUE(wanted.contains(name)) << name;
      EXPECT_TRUE(torch::equal(tensor, wanted.at(name))) << name;
    }
    expect_same_network(TensorMap(given.begin(), given.end()), "hf-dinov2", network);
  }
  EXPECT_THROW(hugging_face_names(drawn(unscaled(tiny()))), std::invalid_argument);
  auto options = clip(true);
  options.layerscale = 1e-5;
  try {
    hugging_face_names(drawn(options));
    ADD_FAILURE() << "a network that Hugging Face's DINOv2 cannot compute was given its names";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("no bias of the patches, a norm before its blocks, quick GELU"));
  }
}

TEST(WeightNames, TheReleasedSizesHaveTheirPublishedNumberOfParameters) {
  struct Release {
    std::int64_t width, depth, heads, registers;
    const char* ffn;
    std::size_t tensors, hugging_face_tensors;
    std::int64_t parameters;
  };
  for (const Release& release : {Release{384, 12, 6, 0, "mlp", 175, 223, 22'056'576},
                                 Release{768, 12, 12, 4, "mlp", 176, 224, 86'583'552},
                                 Release{1024, 24, 16, 0, "mlp", 343, 439, 304'368'640},
                                 Release{1536, 40, 24, 4, "swiglu", 568, 728, 1'136'486'912}}) {
    VisionTransformerOptions options;
    options.image_height = options.image_width = 518;
    options.embed_dim = release.width;
    options.depth = release.depth;
    options.heads = release.heads;
    options.registers = release.registers;
    options.ffn = release.ffn;
    const VisionTransformer network(options, torch::kMeta);
    const auto recognised = recognise_weights(official(network), std::nullopt);
    EXPECT_EQ(recognised.options.heads, release.heads);
    EXPECT_EQ(recognised.backbone.size(), release.tensors);
    EXPECT_EQ(hugging_face_names(network).size(), release.hugging_face_tensors);
    EXPECT_EQ(count_parameters(network.parameters()), release.parameters);
  }
}

}  // namespace
}  // namespace paddock::model
