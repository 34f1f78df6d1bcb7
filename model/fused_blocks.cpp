#include "model/fused_blocks.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <type_traits>
#include <utility>

#include "model/kernels/attention.h"
#include "model/kernels/normalization.h"
#include "model/packed_blocks.h"
#include "model/products.h"

namespace paddock::model {
namespace {

// Rows that one thread takes at a time, and over which one partial sum runs: a constant, so that threads
// change no bit.
constexpr std::int64_t kRowBlock = 64;

torch::Tensor floats(std::initializer_list<std::int64_t> shape) {
  return torch::empty(shape, torch::kFloat32);
}
template <class T>
constexpr auto kScalarType = std::is_same_v<T, float> ? torch::kFloat32 : torch::kBFloat16;
template <class T>
torch::Tensor values(std::initializer_list<std::int64_t> shape) {
  return torch::empty(shape, kScalarType<T>);
}
template <class T = float>
T* data(const torch::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}
const std::int64_t* indices(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<std::int64_t>() : nullptr;
}

void for_row_blocks(std::int64_t rows, const std::function<void(std::int64_t, std::int64_t)>& work) {
  at::parallel_for(0, (rows + kRowBlock - 1) / kRowBlock, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block)
      work(block * kRowBlock, std::min(rows, (block + 1) * kRowBlock));
  });
}

// Adds up `width` columns: work(begin, end, sums) adds those of its rows.
torch::Tensor column_sums(std::int64_t rows, std::int64_t width,
                          const std::function<void(std::int64_t, std::int64_t, float*)>& work) {
  const std::int64_t blocks = (rows + kRowBlock - 1) / kRowBlock;
  const auto partial = torch::zeros({std::max<std::int64_t>(blocks, 1), width}, torch::kFloat32);
  for_row_blocks(rows, [&](std::int64_t begin, std::int64_t end) {
    work(begin, end, data(partial) + begin / kRowBlock * width);
  });
  auto sums = torch::zeros({width}, torch::kFloat32);
  add_columns(data(partial), width, width, data(sums), 0, blocks);
  return sums;
}

// The first `width` columns of a matrix.
template <class T>
torch::Tensor column_sums(const torch::Tensor& matrix, std::int64_t width) {
  const std::int64_t stride = matrix.size(1);
  return column_sums(matrix.size(0), width, [&](std::int64_t begin, std::int64_t end, float* sums) {
    add_columns(data<const T>(matrix), width, stride, sums, begin, end);
  });
}

struct Normed {
  torch::Tensor rows_SD, inverse_S;
};

template <class T>
Normed normalize_rows(const torch::Tensor& x, const torch::Tensor& rows, double epsilon) {
  const std::int64_t width = x.size(1), count = rows.defined() ? rows.size(0) : x.size(0);
  Normed normed{values<T>({count, width}), floats({count})};
  const RowsToNormalize<T> in{data<const float>(x),   indices(rows), data<T>(normed.rows_SD),
                              data(normed.inverse_S), width,         static_cast<float>(epsilon)};
  for_row_blocks(count, [&](std::int64_t begin, std::int64_t end) { normalize(in, begin, end); });
  return normed;
}

template <class T>
void add_normed_gradient(const torch::Tensor& gradient, const torch::Tensor& rows,
                         const torch::Tensor& normed_gradient, const Normed& normed) {
  const NormalizedGradient<T> in{
      data(gradient),         indices(rows),   data<const T>(normed_gradient), data<const T>(normed.rows_SD),
      data(normed.inverse_S), gradient.size(1)};
  for_row_blocks(normed_gradient.size(0),
                 [&](std::int64_t begin, std::int64_t end) { normalize_backward(in, begin, end); });
}

RowSelection selection_of(const BranchRows& branch, std::int64_t width) {
  return {indices(branch.rows_S), data<const float>(branch.factors_S), width};
}

// The gradient as a branch sees it: its own rows, times their factors.
template <class T>
torch::Tensor gradient_of_branch(const torch::Tensor& gradient, const BranchRows& branch) {
  if (!branch.rows_S.defined() && std::is_same_v<T, float>) return gradient;
  const std::int64_t rows = branch.rows_S.defined() ? branch.rows_S.size(0) : gradient.size(0);
  auto taken = values<T>({rows, gradient.size(1)});
  for_row_blocks(rows, [&](std::int64_t begin, std::int64_t end) {
    take_rows(selection_of(branch, gradient.size(1)), data<const float>(gradient), data<T>(taken), begin,
              end);
  });
  return taken;
}

// x plus a branch's output and its bias.
template <class T>
void add_branch(const torch::Tensor& x, const torch::Tensor& output, const torch::Tensor& bias,
                const BranchRows& branch) {
  for_row_blocks(output.size(0), [&](std::int64_t begin, std::int64_t end) {
    add_rows(selection_of(branch, x.size(1)), data(x), data<const T>(output), data<const float>(bias), begin,
             end);
  });
}

// Which picked rows are queries of which image, in the last block.
struct PickedQueries {
  std::vector<std::int64_t> queries;  // places in the list of picked rows, image by image
  std::vector<std::int64_t> begins;   // image i: [begins[i], begins[i + 1])
};

PickedQueries queries_of(const torch::Tensor& picked, const TokenLayout& layout) {
  std::vector<std::vector<std::int64_t>> of_image;
  std::vector<std::int64_t> first_image;
  for (std::size_t g = 0; g < layout.images.size(); ++g) {
    first_image.push_back(static_cast<std::int64_t>(of_image.size()));
    of_image.resize(of_image.size() + static_cast<std::size_t>(layout.images[g]));
  }
  const auto* rows = picked.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < picked.size(0); ++i) {
    const auto after = std::upper_bound(layout.first.begin(), layout.first.end(), rows[i]);
    const auto group = static_cast<std::size_t>(after - layout.first.begin() - 1);
    const std::int64_t image = first_image[group] + (rows[i] - layout.first[group]) / layout.tokens[group];
    of_image[static_cast<std::size_t>(image)].push_back(i);
  }
  PickedQueries picked_queries{{}, {0}};
  for (const auto& list : of_image) {
    picked_queries.queries.insert(picked_queries.queries.end(), list.begin(), list.end());
    picked_queries.begins.push_back(static_cast<std::int64_t>(picked_queries.queries.size()));
  }
  return picked_queries;
}

// Where queries, keys and values of all heads lie: one product [S, 3D], or [P, D] and [S, 2D] where only P
// rows are queries.
struct QueriesKeysValues {
  torch::Tensor all_S3D, queries_PD, others_S2D;

  static QueriesKeysValues empty_like(const QueriesKeysValues& other) {
    const auto like = [](const torch::Tensor& x) { return x.defined() ? torch::empty_like(x) : x; };
    return {like(other.all_S3D), like(other.queries_PD), like(other.others_S2D)};
  }
  const torch::Tensor& with_queries() const { return all_S3D.defined() ? all_S3D : queries_PD; }
  const torch::Tensor& with_others() const { return all_S3D.defined() ? all_S3D : others_S2D; }
  std::int64_t width() const { return queries_PD.defined() ? queries_PD.size(1) : all_S3D.size(1) / 3; }
  template <class T>
  HeadRows<T> queries(std::int64_t column) const {
    return {data<T>(with_queries()) + column, with_queries().size(1)};
  }
  // part 0: keys, 1: values
  template <class T>
  HeadRows<T> others(std::int64_t part, std::int64_t row, std::int64_t column) const {
    const auto& matrix = with_others();
    const std::int64_t before = all_S3D.defined() ? (part + 1) * width() : part * width();
    return {data<T>(matrix) + row * matrix.size(1) + before + column, matrix.size(1)};
  }
};

struct AttentionState {
  Normed normed;
  QueriesKeysValues qkv;
  torch::Tensor output_PD, log_sum_HP;  // log_sum undefined: not wanted
  PickedQueries picked;
};

// A head of an image: where its queries begin, and where its keys do, in their matrices.
struct HeadPlace {
  std::int64_t query_row = 0, key_row = 0, column = 0;
};

// Calls work(head, its place, scratch) for all heads of all images.
template <class T, class Work>
void for_heads(const AttentionState& state, const TokenLayout& layout, std::int64_t heads,
               const torch::Tensor& bias, const Work& work) {
  const std::int64_t width = state.qkv.width() / heads, rows = state.output_PD.size(0);
  std::int64_t images_before = 0;
  for (std::size_t g = 0; g < layout.images.size(); ++g) {
    const std::int64_t tokens = layout.tokens[g];
    at::parallel_for(0, layout.images[g] * heads, 1, [&](std::int64_t begin, std::int64_t end) {
      const auto scratch = floats({attention_scratch(tokens, width)});
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i / heads, head = i % heads, first = layout.first[g] + image * tokens;
        AttentionHead<T> job;
        job.queries = job.keys = tokens;
        job.width = width;
        HeadPlace place{first, first, head * width};
        if (!state.picked.begins.empty()) {
          const auto* range = state.picked.begins.data() + images_before + image;
          job.queries = range[1] - range[0];
          job.query_rows = state.picked.queries.data() + range[0];
          place.query_row = 0;
        }
        const auto at_row = [&](auto matrix) {
          matrix.first += place.query_row * matrix.stride;
          return matrix;
        };
        job.q = at_row(state.qkv.queries<const T>(place.column));
        job.q_bias = data<const float>(bias) + place.column;
        job.k = state.qkv.others<const T>(0, first, place.column);
        job.v = state.qkv.others<const T>(1, first, place.column);
        job.output = at_row(HeadRows<T>{data<T>(state.output_PD) + place.column, heads * width});
        if (state.log_sum_HP.defined()) job.log_sum = data(state.log_sum_HP) + head * rows + place.query_row;
        work(job, place, data(scratch));
      }
    });
    images_before += layout.images[g];
  }
}

struct FeedForwardState {
  Normed normed;
  torch::Tensor before_SI;  // the activation
};

struct BlockState {
  FoldedBlock folded;
  AttentionState attention;
  FeedForwardState feed_forward;
};

template <class T>
ActivationRows<T> activation_rows(const torch::Tensor& before, const torch::Tensor& bias,
                                  Activation activation) {
  const std::int64_t inputs = before.size(1);
  return {activation, activation == Activation::kSwiGlu ? inputs / 2 : inputs, data<const T>(before),
          data<const float>(bias)};
}

template <class T>
ActivationRows<T> from_row(const ActivationRows<T>& rows, std::int64_t row) {
  ActivationRows<T> from = rows;
  from.before += row * activation_inputs(rows.activation, rows.hidden);
  return from;
}

class Blocks {
 public:
  virtual ~Blocks() = default;
  // x is used up.
  virtual torch::Tensor forward(torch::Tensor x) = 0;
  // The gradient of x; those of the weights are appended block by block, the last one first.
  virtual torch::Tensor backward(torch::Tensor gradient, std::vector<BlockWeights>& weight_gradients) = 0;
  virtual bool has_states() const = 0;
};

// T: what products read and write, float or Bfloat16. The residual stream, statistics and sums are float32.
template <class T>
class FusedBlocks : public Blocks {
 public:
  FusedBlocks(const std::vector<BlockWeights>& blocks, const BlockRun& run, bool is_training)
      : blocks_(blocks), run_(run), is_training_(is_training) {}

  torch::Tensor forward(torch::Tensor x) override {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (is_training_ && run_.is_recomputing) inputs_.push_back(x.clone());
      BlockState state = run_block(i, x);
      if (is_training_ && !run_.is_recomputing) states_.push_back(std::move(state));
    }
    return x;
  }

  torch::Tensor backward(torch::Tensor gradient, std::vector<BlockWeights>& weight_gradients) override {
    for (std::size_t i = blocks_.size(); i-- > 0;) {
      BlockState state = take_state(i);
      FoldedBlock folded;
      feed_forward_backward(gradient, state, rows_of(i, 1), folded);
      attention_backward(gradient, state, rows_of(i, 0), is_picking(i), folded);
      weight_gradients.push_back(unfold_gradients(blocks_[i], state.folded, folded));
    }
    states_.clear();
    inputs_.clear();
    return gradient;
  }

  bool has_states() const override { return states_.size() + inputs_.size() == blocks_.size(); }

 private:
  static constexpr auto kType = kScalarType<T>;

  // x becomes the block's output.
  BlockState run_block(std::size_t i, torch::Tensor& x) {
    BlockState state{fold(blocks_[i]), {}, {}};
    attention_branch(x, state, rows_of(i, 0), is_picking(i));
    feed_forward_branch(x, state, rows_of(i, 1));
    return state;
  }

  // What block i's backward pass needs, kept or made again; it is kept no longer.
  BlockState take_state(std::size_t i) {
    if (!run_.is_recomputing) return std::exchange(states_[i], {});
    torch::Tensor x = std::exchange(inputs_[i], {});
    return run_block(i, x);
  }

  bool is_picking(std::size_t block) const { return run_.picked_P.defined() && block + 1 == blocks_.size(); }

  BranchRows rows_of(std::size_t block, std::size_t branch) const {
    return run_.kept.empty() ? BranchRows{{}, {}, run_.layout} : run_.kept[block][branch];
  }

  void attention_branch(torch::Tensor& x, BlockState& state, const BranchRows& branch, bool is_picking) {
    AttentionState& attention = state.attention;
    const std::int64_t width = x.size(1);
    attention.normed = normalize_rows<T>(x, branch.rows_S, run_.epsilon);
    const auto& normed = attention.normed.rows_SD;
    const auto& weight = state.folded.qkv_weight;
    if (is_picking) {
      attention.qkv.queries_PD =
          times_transposed(normed.index_select(0, run_.picked_P), weight.narrow(0, 0, width));
      attention.qkv.others_S2D = times_transposed(normed, weight.narrow(0, width, 2 * width));
      attention.picked = queries_of(run_.picked_P, run_.layout);
    } else {
      attention.qkv.all_S3D = times_transposed(normed, weight);
    }
    attention.output_PD = values<T>({attention.qkv.with_queries().size(0), width});
    if (is_training_) attention.log_sum_HP = floats({run_.heads, attention.output_PD.size(0)});
    for_heads<T>(
        attention, branch.layout, run_.heads, state.folded.query_bias,
        [](const AttentionHead<T>& head, const HeadPlace&, float* scratch) { attend(head, scratch); });
    if (is_picking) x = x.index_select(0, run_.picked_P);
    add_branch<T>(x, times_transposed(attention.output_PD, state.folded.proj_weight), state.folded.proj_bias,
                  branch);
  }

  // Gradients of queries, keys and values from that of the attention's output.
  QueriesKeysValues attend_backward_all(const BlockState& state, const BranchRows& branch,
                                        const torch::Tensor& output_gradient) const {
    const AttentionState& attention = state.attention;
    const auto inner = QueriesKeysValues::empty_like(attention.qkv);
    const std::int64_t width = output_gradient.size(1);
    const auto backward = [&](const AttentionHead<T>& head, const HeadPlace& place, float* scratch) {
      AttentionGradients<T> gradients;
      gradients.output = {data<const T>(output_gradient) + place.query_row * width + place.column, width};
      gradients.q = inner.queries<T>(place.column);
      gradients.q.first += place.query_row * gradients.q.stride;
      gradients.k = inner.others<T>(0, place.key_row, place.column);
      gradients.v = inner.others<T>(1, place.key_row, place.column);
      attend_backward(head, gradients, scratch);
    };
    for_heads<T>(attention, branch.layout, run_.heads, state.folded.query_bias, backward);
    return inner;
  }

  void attention_backward(torch::Tensor& gradient, BlockState& state, const BranchRows& branch,
                          bool is_picking, FoldedBlock& folded) {
    AttentionState& attention = state.attention;
    const std::int64_t width = gradient.size(1);
    const auto outer = gradient_of_branch<T>(gradient, branch);
    folded.proj_bias = column_sums<T>(outer, width);
    folded.proj_weight = transposed_times(outer, attention.output_PD);
    const auto inner = attend_backward_all(state, branch, times(outer, state.folded.proj_weight));
    folded.query_bias = column_sums<T>(inner.with_queries(), width);
    const auto& normed = attention.normed.rows_SD;
    const auto& weight = state.folded.qkv_weight;
    torch::Tensor normed_gradient;
    if (is_picking) {
      folded.qkv_weight =
          torch::cat({transposed_times(inner.queries_PD, normed.index_select(0, run_.picked_P)),
                      transposed_times(inner.others_S2D, normed)});
      auto of_others = times(inner.others_S2D, weight.narrow(0, width, 2 * width)).to(torch::kFloat32);
      add_picked<T>(of_others, times(inner.queries_PD, weight.narrow(0, 0, width)));
      normed_gradient = of_others.to(kType);
      auto whole = torch::zeros({normed.size(0), width}, torch::kFloat32);
      add_picked<float>(whole, gradient);
      gradient = whole;
    } else {
      folded.qkv_weight = transposed_times(inner.all_S3D, normed);
      normed_gradient = times(inner.all_S3D, weight);
    }
    add_normed_gradient<T>(gradient, branch.rows_S, normed_gradient, attention.normed);
  }

  // One thread: a row may have been picked twice.
  template <class From>
  void add_picked(const torch::Tensor& large_RD, const torch::Tensor& small_PD) const {
    const RowSelection selection{indices(run_.picked_P), nullptr, large_RD.size(1)};
    const float* const no_bias = nullptr;
    add_rows(selection, data(large_RD), data<const From>(small_PD), no_bias, 0, small_PD.size(0));
  }

  void feed_forward_branch(torch::Tensor& x, BlockState& state, const BranchRows& branch) {
    FeedForwardState& inside = state.feed_forward;
    inside.normed = normalize_rows<T>(x, branch.rows_S, run_.epsilon);
    inside.before_SI = times_transposed(inside.normed.rows_SD, state.folded.in_weight);
    const auto rows = activation_rows<T>(inside.before_SI, state.folded.in_bias, run_.activation);
    const bool is_in_place = !is_training_ && rows.hidden == inside.before_SI.size(1);
    const auto after = is_in_place ? inside.before_SI : values<T>({inside.before_SI.size(0), rows.hidden});
    for_row_blocks(after.size(0), [&](std::int64_t begin, std::int64_t end) {
      activate(from_row(rows, begin), data<T>(after) + begin * rows.hidden, end - begin);
    });
    add_branch<T>(x, times_transposed(after, state.folded.out_weight), state.folded.out_bias, branch);
  }

  void feed_forward_backward(const torch::Tensor& gradient, BlockState& state, const BranchRows& branch,
                             FoldedBlock& folded) const {
    const FeedForwardState& inside = state.feed_forward;
    const auto outer = gradient_of_branch<T>(gradient, branch);
    folded.out_bias = column_sums<T>(outer, outer.size(1));
    const auto rows = activation_rows<T>(inside.before_SI, state.folded.in_bias, run_.activation);
    const auto after = times(outer, state.folded.out_weight);  // its gradient, then itself
    const auto before_gradient = torch::empty_like(inside.before_SI);
    const std::int64_t inputs = before_gradient.size(1);
    folded.in_bias =
        column_sums(after.size(0), inputs, [&](std::int64_t begin, std::int64_t end, float* sums) {
          activate_backward(from_row(rows, begin), data<T>(after) + begin * rows.hidden,
                            data<T>(before_gradient) + begin * inputs, sums, end - begin);
        });
    folded.out_weight = transposed_times(outer, after);
    folded.in_weight = transposed_times(before_gradient, inside.normed.rows_SD);
    add_normed_gradient<T>(gradient, branch.rows_S, times(before_gradient, state.folded.in_weight),
                           inside.normed);
  }

  const std::vector<BlockWeights> blocks_;
  const BlockRun run_;
  const bool is_training_;
  // What the backward pass needs of each block, or its input [R, D] to make that from.
  std::vector<BlockState> states_;
  std::vector<torch::Tensor> inputs_;
};

std::unique_ptr<Blocks> make_blocks(const std::vector<BlockWeights>& blocks, const BlockRun& run,
                                    bool is_training) {
  if (run.compute == torch::kBFloat16)
    return std::make_unique<FusedBlocks<Bfloat16>>(blocks, run, is_training);
  return std::make_unique<FusedBlocks<float>>(blocks, run, is_training);
}

// FusedBlocks in the graph: inputs are x and the weights, block after block.
struct FusedBlocksNode : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& outer) override {
    if (!blocks || !blocks->has_states())
      throw std::logic_error("the blocks' graph was used before and keeps nothing");
    const torch::NoGradGuard no_grad;
    std::vector<BlockWeights> gradients;
    torch::autograd::variable_list all{
        blocks->backward(outer[0].clone(at::MemoryFormat::Contiguous), gradients)};
    for (auto block = gradients.rbegin(); block != gradients.rend(); ++block) {
      for (auto& gradient : tensors_of(*block)) all.push_back(std::move(gradient));
    }
    return all;
  }
  void release_variables() override { blocks.reset(); }
  std::string name() const override { return "FusedBlocks"; }

  std::unique_ptr<Blocks> blocks;
};

torch::Tensor run_in_graph(const torch::Tensor& x, std::vector<torch::Tensor> weights,
                           const std::vector<BlockWeights>& blocks, const BlockRun& run) {
  const std::shared_ptr<FusedBlocksNode> node(new FusedBlocksNode(), torch::autograd::deleteNode);
  torch::autograd::variable_list inputs{x};
  for (auto& weight : weights) inputs.push_back(std::move(weight));
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::Tensor output;
  {
    const torch::NoGradGuard no_grad;
    node->blocks = make_blocks(blocks, run, true);
    output = node->blocks->forward(x.clone());
  }
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace

torch::Tensor run_fused_blocks(const torch::Tensor& x_RD, const std::vector<BlockWeights>& blocks,
                               const BlockRun& run) {
  std::vector<torch::Tensor> weights;
  bool is_training = x_RD.requires_grad();
  for (const auto& block : blocks) {
    for (auto& tensor : tensors_of(block)) {
      is_training = is_training || (tensor.defined() && tensor.requires_grad());
      weights.push_back(std::move(tensor));
    }
  }
  if (is_training && at::GradMode::is_enabled()) return run_in_graph(x_RD, std::move(weights), blocks, run);
  if (can_run_packed(blocks, run)) return run_packed_blocks(x_RD, blocks, run);
  const torch::NoGradGuard no_grad;
  return make_blocks(blocks, run, false)->forward(x_RD.clone());
}

}  // namespace paddock::model
