// The vision towers of CLIP and the encoders of I-JEPA under their projects' names.
#include "tests/model/weight_cases.h"

namespace paddock::model {
namespace {

TEST(WeightNames, TheVisionTowerOfClipIsReadUnderThreeProjectsNames) {
  const auto network = drawn_without_mask(clip(false)), smoothed = drawn_without_mask(clip(true));
  const auto transformers = clip_tower(network, kTransformers), open_clip = clip_tower(smoothed, kOpenAi);
  EXPECT_TRUE(expect_same_network(transformers, "hf-clip", network).is_activation_assumed);
  EXPECT_TRUE(expect_same_network(open_clip, "open-clip", smoothed).is_activation_assumed);
  EXPECT_TRUE(
      expect_same_network(without_mask(official(smoothed)), "timm-clip", smoothed).is_activation_assumed);
  EXPECT_FALSE(recognise_weights(official(drawn(tiny())), std::nullopt).is_activation_assumed);
  // As Paddock writes it, with the mask token that every network here has.
  expect_same_network(official(drawn(clip(true))), "timm-clip", drawn(clip(true)));
  // Half precision, as OpenAI publishes it.
  TensorMap half;
  for (const auto& [name, tensor] : open_clip) half.emplace("visual." + name, tensor.to(torch::kHalf));
  const auto recognised = recognise_weights(half, std::nullopt);
  EXPECT_TRUE(torch::equal(recognised.backbone.at("cls_token").flatten(), half.at("visual.class_embedding")));
}

TEST(WeightNames, OpenClipsLayerScaleAndWidthsAreThoseOfTheFile) {
  auto options = clip(true);
  options.layerscale = 1e-5;
  options.ffn_hidden = 200;
  const auto network = drawn_without_mask(options);
  TensorMap file = clip_tower(network, kOpenAi);
  for (const std::string i : {"0", "1"})
    for (const std::string branch : {"1", "2"})
      file.emplace("transformer.resblocks." + i + ".ls_" + branch + ".gamma",
                   official(network).at("blocks." + i + ".ls" + branch + ".gamma"));
  expect_same_network(file, "open-clip", network);
  file["transformer.resblocks.1.mlp.c_fc.bias"] = torch::ones({512});
  EXPECT_THAT(refusal(file), HasSubstr("transformer.resblocks.1.mlp.c_fc.bias is [512], must be [200]"));
}

TEST(WeightNames, BesideTheVisionTowerOnlyWhatClipHasIsLeftOut) {
  const auto one = torch::ones({2});
  const auto network = drawn_without_mask(clip(false));
  auto file = under("vision_model.", clip_tower(network, kTransformers));
  for (const char* name : {"text_model.encoder.layers.0.mlp.fc1.weight", "text_projection.weight",
                           "visual_projection.weight", "logit_scale", "vision_model.embeddings.position_ids"})
    file.emplace(name, one);
  EXPECT_EQ(expect_same_network(file, "hf-clip", network).left_out.size(), 5u);
  file.emplace("text_models.weight", one);
  file.emplace("vision_model.embeddings.position_ids_2", one);
  EXPECT_THAT(refusal(file), AllOf(HasSubstr("unknown text_models.weight"),
                                   HasSubstr("unknown vision_model.embeddings.position_ids_2")));

  const auto smoothed = drawn_without_mask(clip(true));
  const std::vector<std::string> text{"positional_embedding",   "transformer.resblocks.0.ln_1.weight",
                                      "token_embedding.weight", "ln_final.bias",
                                      "text_projection",        "logit_scale",
                                      "input_resolution"};
  for (const std::string outer : {"", "state_dict.module."}) {
    auto whole = under(outer + "visual.", clip_tower(smoothed, kOpenAi));
    whole.emplace(outer + "visual.proj", one);
    for (const auto& name : text) whole.emplace(outer + name, one);
    EXPECT_EQ(expect_same_network(whole, "open-clip", smoothed).left_out.size(), text.size() + 1);
    whole.emplace(outer + "transformers.resblocks.0.ln_1.weight", one);
    EXPECT_THAT(refusal(whole), HasSubstr("unknown " + outer + "transformers.resblocks.0.ln_1.weight"));
  }
  auto trunk = under("visual.trunk.", without_mask(official(smoothed)));
  trunk.emplace("visual.head.proj.weight", one);
  trunk.emplace("text.transformer.resblocks.0.ln_1.weight", one);
  expect_same_network(trunk, "timm-clip", smoothed);
  // The same names beside something else are nobody's.
  auto other = official(drawn(tiny()));
  other.emplace("logit_scale", one);
  EXPECT_THAT(refusal(under("backbone.", other)), HasSubstr("unknown backbone.logit_scale"));
}

TEST(WeightNames, WhatClipLacksIsNamedAsItsFileWould) {
  const auto network = drawn_without_mask(clip(true));
  auto file = under("visual.", clip_tower(network, kOpenAi));
  file.erase("visual.ln_pre.weight");
  file.erase("visual.class_embedding");
  file.erase("visual.transformer.resblocks.1.attn.in_proj_bias");
  file["visual.positional_embedding"] = torch::ones({10, 64});
  file["visual.conv1.bias"] = torch::ones({128});
  file["visual.transformer.resblocks.0.attn.in_proj_weight"] = torch::ones({128, 128});
  file["visual.transformer.resblocks.0.attn.in_proj.weight"] = torch::ones({384, 128});
  const auto message = refusal(file);
  for (const char* part :
       {"read as open-clip", "missing visual.ln_pre.weight", "missing visual.class_embedding",
        "missing visual.transformer.resblocks.1.attn.in_proj_bias",
        "visual.positional_embedding is [10, 64], must be [10, 128]", "unknown visual.conv1.bias",
        "visual.transformer.resblocks.0.attn.in_proj_weight is [128, 128], must be [384, 128]",
        "unknown visual.transformer.resblocks.0.attn.in_proj.weight"})
    EXPECT_THAT(message, HasSubstr(part));
  auto flat = clip_tower(drawn_without_mask(clip(false)), kTransformers);
  flat["embeddings.position_embedding.weight"] = torch::ones({1, 10, 128});
  EXPECT_THAT(refusal(flat), HasSubstr("embeddings.position_embedding.weight is [1, 10, 128]"));
  flat["embeddings.position_embedding.weight"] = torch::ones({10, 128});
  flat.erase("encoder.layers.0.self_attn.k_proj.weight");
  flat.erase("embeddings.class_embedding");  // SigLIP has none
  EXPECT_THAT(refusal(flat), HasSubstr("SigLIP"));
  flat["embeddings.class_embedding"] = torch::ones({64});
  EXPECT_THAT(refusal(flat), AllOf(HasSubstr("missing encoder.layers.0.self_attn.k_proj.weight"),
                                   HasSubstr("embeddings.class_embedding is [64], must be [128]")));
}

TEST(WeightNames, IjepaIsTheTargetEncoderOfItsCheckpoint) {
  auto network = drawn_without_mask(ijepa());
  set_first_position_of_ijepa(network);
  const TensorMap encoder = without_mask(official(network));
  EXPECT_FALSE(encoder.contains("cls_token"));
  expect_same_network(encoder, "ijepa", network);
  auto other = drawn(ijepa());
  auto checkpoint = under("target_encoder.module.", encoder);
  checkpoint.merge(under("encoder.module.", without_mask(official(other))));
  for (const char* name : {"predictor.module.mask_token", "predictor.module.predictor_blocks.0.norm1.weight",
                           "opt.state.0.exp_avg", "scaler._growth_tracker"})
    checkpoint.emplace(name, torch::ones({1}));
  EXPECT_EQ(expect_same_network(checkpoint, "ijepa", network).left_out.size(), encoder.size() + 4);
  auto damaged = encoder;
  damaged.erase("blocks.1.mlp.fc2.bias");
  damaged.emplace("fc.weight", torch::ones({1}));
  EXPECT_THAT(refusal(damaged), AllOf(HasSubstr("read as ijepa"), HasSubstr("missing blocks.1.mlp.fc2.bias"),
                                      HasSubstr("unknown fc.weight")));
  // With a mask token it is a file of Paddock's.
  expect_same_network(official(other), "ijepa", other);
}

TEST(WeightNames, HuggingFacesIjepaHasNoClassToken) {
  const auto network = drawn_without_mask(ijepa());
  for (const bool in_memory : {false, true}) {
    const auto file = hugging_face_plain(network, in_memory);
    expect_same_network(file, "hf-ijepa", network);
    auto classifier = under("ijepa.", file);
    classifier.emplace("classifier.weight", torch::ones({10, 128}));
    EXPECT_THAT(expect_same_network(classifier, "hf-ijepa", network).left_out,
                ElementsAre("classifier.weight"));
  }
  auto lost = hugging_face_plain(drawn_without_mask(by_size(unscaled(tiny()), false)), false);
  lost.erase("embeddings.cls_token");
  EXPECT_THAT(refusal(lost), HasSubstr("missing embeddings.cls_token"));
}

TEST(WeightNames, WithoutAClassTokenLearnedPositionsAreNotIjepas) {
  const auto network = drawn_without_mask(ijepa());
  EXPECT_THAT(refusal(without_mask(official(network))),
              AllOf(HasSubstr("not I-JEPA"), HasSubstr("pos_embed is learned")));
  auto lost = official(drawn(tiny()));
  lost.erase("cls_token");
  EXPECT_THAT(refusal(lost), AllOf(HasSubstr("read as dinov2"), HasSubstr("missing cls_token")));
}

TEST(WeightNames, PublishedWidthsOfClipAndIjepaHaveTheirHeads) {
  for (const auto& [width, heads] : {std::pair<std::int64_t, std::int64_t>{768, 12},
                                     {1024, 16},
                                     {1280, 16},
                                     {1408, 16},
                                     {1664, 16},
                                     {1792, 16}}) {
    auto options = clip(true);
    options.embed_dim = width;
    options.heads = heads;
    options.ffn_hidden = width > 1280 ? 6144 : 0;
    const VisionTransformer network(options, torch::kMeta);
    const auto found = recognise_weights(clip_tower(network, kOpenAi), std::nullopt).options;
    EXPECT_EQ(found.heads, heads);
    EXPECT_EQ(found.ffn_hidden, options.ffn_hidden);
  }
}

}  // namespace
}  // namespace paddock::model
