// Numbers of parameters and of FLOP against published counts and those worked out apart from this code.
#include "jobs/spec/network_size.h"

#include <gtest/gtest.h>

namespace paddock::spec {
namespace {

NetworkSize network(const std::string& arch, const std::string& ffn, std::int64_t registers,
                    std::int64_t image_size) {
  NetworkSize network;
  network.backbone.arch = arch;
  network.backbone.ffn = ffn;
  network.backbone.registers = registers;
  network.backbone = resolved(network.backbone);
  network.image_size = image_size;
  return network;
}

// The released backbones: patches of 14, positions for 518 pixels.
TEST(NetworkSize, BackbonesHaveTheReleasedNumbersOfParameters) {
  EXPECT_EQ(backbone_parameters(network("vit_small", "mlp", 0, 518)), 22'056'576);
  EXPECT_EQ(backbone_parameters(network("vit_small", "mlp", 4, 518)), 22'058'112);
  EXPECT_EQ(backbone_parameters(network("vit_base", "mlp", 0, 518)), 86'580'480);
  EXPECT_EQ(backbone_parameters(network("vit_base", "mlp", 4, 518)), 86'583'552);
  EXPECT_EQ(backbone_parameters(network("vit_large", "mlp", 0, 518)), 304'368'640);
  EXPECT_EQ(backbone_parameters(network("vit_large", "mlp", 4, 518)), 304'372'736);
  EXPECT_EQ(backbone_parameters(network("vit_giant2", "swiglu", 0, 518)), 1'136'480'768);
  EXPECT_EQ(backbone_parameters(network("vit_giant2", "swiglu", 4, 518)), 1'136'486'912);
}

TEST(NetworkSize, OneMoreChannelIsOneMorePlaneOfThePatches) {
  NetworkSize four = network("vit_small", "mlp", 0, 224);
  const std::int64_t before = backbone_parameters(four);
  four.backbone.channels = 4;
  EXPECT_EQ(backbone_parameters(four) - before, 14 * 14 * 384);
}

TEST(NetworkSize, WithoutLayerScaleThereAreNoGains) {
  NetworkSize plain = network("vit_small", "mlp", 0, 224);
  const std::int64_t before = backbone_parameters(plain);
  plain.backbone.layerscale = 0;
  EXPECT_EQ(before - backbone_parameters(plain), 12 * 2 * 384);
}

// Width into the MLP of 2,048, bottleneck, prototypes.
TEST(NetworkSize, HeadsHaveThePublishedNumbersOfParameters) {
  EXPECT_EQ(head_parameters({65'536, 2'048, 256, 3}, 1'024), 23'662'848);
  EXPECT_EQ(head_parameters({131'072, 2'048, 384, 3}, 1'536), 58'593'664);
  EXPECT_EQ(head_parameters({131'072, 2'048, 256, 3}, 1'536), 41'554'176);
  EXPECT_EQ(head_parameters({10, 99, 4, 1}, 6), 6 * 4 + 4 + 10 * 5);  // one layer: straight to the bottleneck
}

// A ViT-S/14 at 224 pixels: 3 + 256 tokens, two norms and gains a block, the last norm; and a head's prototypes.
TEST(NetworkSize, WhatDoesNotGoIntoProductsIsNormsGainsTokensAndPrototypes) {
  NetworkSize small = network("vit_small", "mlp", 0, 224);
  EXPECT_EQ(backbone_parameters(small) - backbone_product_parameters(small), (259 + 12 * 6 + 2) * 384);
  small.dino_head = {10, 99, 4, 1};
  EXPECT_EQ(heads_product_parameters(small), 384 * 4 + 4);
  small.ibot_head = {7, 5, 3, 2};
  EXPECT_EQ(heads_product_parameters(small), 384 * 4 + 4 + 384 * 5 + 5 + 5 * 3 + 3);
}

TEST(NetworkSize, TheGatedFeedForwardIsAMultipleOfEight) {
  EXPECT_EQ(feed_forward_width(network("vit_large", "swiglu", 0, 224).backbone), 2'736);
  EXPECT_EQ(feed_forward_width(network("vit_giant2", "swiglu", 0, 224).backbone), 4'096);
  EXPECT_EQ(feed_forward_width(network("vit_large", "mlp", 0, 224).backbone), 4'096);
}

TEST(NetworkSize, TokensAreClassRegistersAndPatches) {
  EXPECT_EQ(tokens_of(network("vit_small", "mlp", 0, 224).backbone, 224), 257);
  EXPECT_EQ(tokens_of(network("vit_small", "mlp", 4, 224).backbone, 98), 54);
  EXPECT_EQ(patches_of(network("vit_small", "mlp", 4, 224).backbone, 518), 1'369);
}

// 12·(2·257·(4·384² + 2·384·1536) + 4·257²·384), and 2·256·3·14²·384.
TEST(NetworkSize, FlopAreCountedByHand) {
  const BackboneSpec small = network("vit_small", "mlp", 0, 224).backbone;
  EXPECT_EQ(block_flops(small, 224), 12.0 * (2.0 * 257 * 1'769'472 + 4.0 * 66'049 * 384));
  EXPECT_EQ(embedding_flops(small, 224), 2.0 * 256 * 588 * 384);
  EXPECT_EQ(head_flops({65'536, 2'048, 256, 3}, 384),
            2.0 * (384 * 2'048 + 2'048 * 2'048 + 2'048 * 256 + 256 * 65'536));
}

}  // namespace
}  // namespace paddock::spec
