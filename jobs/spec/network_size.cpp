#include "jobs/spec/network_size.h"

namespace paddock::spec {
namespace {

bool is_gated(const BackboneSpec& backbone) {
  return backbone.ffn == "swiglu";
}

}  // namespace

std::int64_t patches_of(const BackboneSpec& backbone, std::int64_t image_size) {
  const std::int64_t side = image_size / backbone.patch_size;
  return side * side;
}

std::int64_t tokens_of(const BackboneSpec& backbone, std::int64_t image_size) {
  return 1 + backbone.registers + patches_of(backbone, image_size);
}

std::int64_t feed_forward_width(const BackboneSpec& backbone) {
  if (!is_gated(backbone)) return 4 * backbone.embed_dim;
  return (4 * backbone.embed_dim * 2 / 3 + 7) / 8 * 8;
}

std::int64_t backbone_product_parameters(const NetworkSize& network) {
  const BackboneSpec& backbone = network.backbone;
  const std::int64_t width = backbone.embed_dim, hidden = feed_forward_width(backbone);
  const std::int64_t embedding = (backbone.channels * backbone.patch_size * backbone.patch_size + 1) * width;
  const std::int64_t inner = is_gated(backbone) ? 2 * hidden : hidden;  // gate and gated are one product
  const std::int64_t attention = (width + 1) * 3 * width + (width + 1) * width;
  const std::int64_t feed_forward = (width + 1) * inner + (hidden + 1) * width;
  return embedding + backbone.depth * (attention + feed_forward);
}

std::int64_t backbone_parameters(const NetworkSize& network) {
  const BackboneSpec& backbone = network.backbone;
  const std::int64_t width = backbone.embed_dim;
  const std::int64_t tokens = 1 + (1 + patches_of(backbone, network.image_size)) + backbone.registers +
                              1;  // class, positions, registers, mask
  const std::int64_t norms = 4 * width, gains = backbone.layerscale > 0 ? 2 * width : 0;
  return tokens * width + backbone_product_parameters(network) + backbone.depth * (norms + gains) + 2 * width;
}

std::int64_t head_parameters(const HeadSpec& head, std::int64_t width) {
  std::int64_t count = head.prototypes * (head.bottleneck + 1);  // a direction and a gain each
  std::int64_t in = width;
  for (std::int64_t layer = 1; layer <= head.layers; ++layer) {
    const std::int64_t out = layer == head.layers ? head.bottleneck : head.hidden;
    count += in * out + out;
    in = out;
  }
  return count;
}

std::int64_t heads_parameters(const NetworkSize& network) {
  const std::int64_t width = network.backbone.embed_dim;
  return head_parameters(network.dino_head, width) +
         (network.ibot_head ? head_parameters(*network.ibot_head, width) : 0);
}

std::int64_t heads_product_parameters(const NetworkSize& network) {
  const auto prototypes = [](const HeadSpec& head) { return head.prototypes * (head.bottleneck + 1); };
  return heads_parameters(network) - prototypes(network.dino_head) -
         (network.ibot_head ? prototypes(*network.ibot_head) : 0);
}

double block_flops(const BackboneSpec& backbone, std::int64_t image_size) {
  const auto width = static_cast<double>(backbone.embed_dim);
  const auto hidden = static_cast<double>(feed_forward_width(backbone));
  const auto tokens = static_cast<double>(tokens_of(backbone, image_size));
  const double products = 4 * width * width + (is_gated(backbone) ? 3 : 2) * width * hidden;
  return static_cast<double>(backbone.depth) * (2 * tokens * products + 4 * tokens * tokens * width);
}

double embedding_flops(const BackboneSpec& backbone, std::int64_t image_size) {
  return 2.0 * static_cast<double>(patches_of(backbone, image_size) * backbone.channels *
                                   backbone.patch_size * backbone.patch_size * backbone.embed_dim);
}

double head_flops(const HeadSpec& head, std::int64_t width) {
  double products = static_cast<double>(head.bottleneck) * static_cast<double>(head.prototypes);
  std::int64_t in = width;
  for (std::int64_t layer = 1; layer <= head.layers; ++layer) {
    const std::int64_t out = layer == head.layers ? head.bottleneck : head.hidden;
    products += static_cast<double>(in) * static_cast<double>(out);
    in = out;
  }
  return 2 * products;
}

}  // namespace paddock::spec
