#include "model/packed_blocks.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "model/kernels/packed_block.h"

namespace paddock::model {
namespace {

const float* data(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

// Contiguous parameters of a block, and where they lie.
struct HeldBlock {
  explicit HeldBlock(const BlockWeights& block) {
    for (const auto& tensor : tensors_of(block))
      tensors.push_back(tensor.defined() ? tensor.contiguous() : tensor);
    const BlockWeights held = block_of(tensors.data());
    pointers = {data(held.norm1_weight), data(held.norm1_bias),   data(held.qkv_weight),
                data(held.qkv_bias),     data(held.proj_weight),  data(held.proj_bias),
                data(held.ls1),          data(held.norm2_weight), data(held.norm2_bias),
                data(held.in_weight),    data(held.in_bias),      data(held.out_weight),
                data(held.out_bias),     data(held.ls2)};
  }
  std::vector<torch::Tensor> tensors;
  BlockPointers pointers;
};

PackedBlockShape shape_of(const BlockWeights& block, const BlockRun& run, std::int64_t tokens) {
  return {tokens,         block.proj_weight.size(0),      run.heads, block.out_weight.size(1),
          run.activation, static_cast<float>(run.epsilon)};
}

// Part `piece` of `pieces` of [0, count).
PackedRange share(std::int64_t count, std::int64_t piece, std::int64_t pieces) {
  return {count * piece / pieces, count * (piece + 1) / pieces};
}

// Scratch memory of all threads, each with its own lines of the cache.
class Scratch {
 public:
  explicit Scratch(const std::vector<PackedBlockSizes>& sizes) {
    for (const auto& size : sizes) {
      weights_ = std::max(weights_, size.weights);
      image_ = std::max(image_, size.image);
      thread_ = std::max(thread_, size.thread);
    }
    image_ = padded(image_);
    thread_ = padded(thread_);
    const std::int64_t threads = at::get_num_threads();
    all_ = torch::zeros({padded(weights_) + threads * (image_ + thread_)}, torch::kFloat32);
    images_ = weights() + padded(weights_);
    threads_ = images_ + threads * image_;
  }
  float* weights() const { return all_.data_ptr<float>(); }
  float* image(std::int64_t index) const { return images_ + index * image_; }
  float* of_this_thread() const { return threads_ + at::get_thread_num() * thread_; }

 private:
  static std::int64_t padded(std::int64_t floats) { return (floats + 15) / 16 * 16 + 16; }
  std::int64_t weights_ = 0, image_ = 0, thread_ = 0;
  torch::Tensor all_;
  float *images_ = nullptr, *threads_ = nullptr;
};

struct Group {
  PackedBlockShape shape;
  PackedBlockSizes sizes;
  std::int64_t images = 0;
  float* x = nullptr;  // of its first image
};

class PackedRun {
 public:
  PackedRun(const Group& group, const HeldBlock& block, const Scratch& scratch)
      : group_(group), block_(block), scratch_(scratch) {}

  void run() const {
    const std::int64_t threads = at::get_num_threads(), left = group_.images % threads;
    at::parallel_for(0, group_.images - left, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) run_whole(image(i, at::get_thread_num()));
    });
    if (left > 0) run_divided(group_.images - left, left, threads);
  }

 private:
  PackedImage image(std::int64_t index, std::int64_t scratch) const {
    const auto& shape = group_.shape;
    return {&shape,
            &block_.pointers,
            scratch_.weights(),
            group_.x + index * shape.tokens * shape.width,
            scratch_.image(scratch),
            scratch_.of_this_thread()};
  }
  void run_whole(const PackedImage& image) const {
    packed_queries_keys_values(image, {0, group_.sizes.slivers});
    packed_attention(image, {0, group_.shape.heads});
    packed_projection_and_feed_forward(image, {0, group_.sizes.slivers});
  }
  // Images first … first + count − 1, each in `pieces` pieces.
  void run_divided(std::int64_t first, std::int64_t count, std::int64_t pieces) const {
    const auto phase = [&](std::int64_t units, const auto& work) {
      at::parallel_for(0, count * pieces, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task)
          work(image(first + task / pieces, task / pieces), share(units, task % pieces, pieces));
      });
    };
    phase(group_.sizes.slivers, packed_queries_keys_values);
    phase(group_.shape.heads, packed_attention);
    phase(group_.sizes.slivers, packed_projection_and_feed_forward);
  }

  const Group& group_;
  const HeldBlock& block_;
  const Scratch& scratch_;
};

}  // namespace

bool can_run_packed(const std::vector<BlockWeights>& blocks, const BlockRun& run) {
  return run.compute == torch::kFloat32 && run.kept.empty() && !blocks.empty() &&
         has_packed_block(shape_of(blocks.front(), run, 1));
}

torch::Tensor run_packed_blocks(const torch::Tensor& x_RD, const std::vector<BlockWeights>& blocks,
                                const BlockRun& run) {
  const torch::NoGradGuard no_grad;
  const auto x = x_RD.clone(at::MemoryFormat::Contiguous);
  std::vector<Group> groups;
  std::vector<PackedBlockSizes> sizes;
  for (std::size_t g = 0; g < run.layout.images.size(); ++g) {
    const auto shape = shape_of(blocks.front(), run, run.layout.tokens[g]);
    sizes.push_back(packed_block_sizes(shape));
    groups.push_back(
        {shape, sizes.back(), run.layout.images[g], x.data_ptr<float>() + run.layout.first[g] * shape.width});
  }
  const Scratch scratch(sizes);
  const std::int64_t pieces = 8 * at::get_num_threads();
  for (const auto& weights : blocks) {
    const HeldBlock block(weights);
    at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t piece = begin; piece < end; ++piece)
        pack_block(groups.front().shape, block.pointers, scratch.weights(), piece, pieces);
    });
    for (const Group& group : groups) PackedRun(group, block, scratch).run();
  }
  return run.picked_P.defined() ? x.index_select(0, run.picked_P) : x;
}

}  // namespace paddock::model
