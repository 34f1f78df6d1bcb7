#include "model/fused_blocks.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>

#include "model/kernels/attention.h"
#include "model/kernels/normalization.h"
#include "model/packed_blocks.h"

namespace paddock::model {
namespace {

// Rows that one thread takes at a time, and over which one partial sum runs: a constant, so that threads
// change no bit.
constexpr std::int64_t kRowBlock = 64;

torch::Tensor floats(std::initializer_list<std::int64_t> shape) {
  return torch::empty(shape, torch::kFloat32);
}
float* data(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
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
torch::Tensor column_sums(const torch::Tensor& matrix, std::int64_t width) {
  const std::int64_t stride = matrix.size(1);
  return column_sums(matrix.size(0), width, [&](std::int64_t begin, std::int64_t end, float* sums) {
    add_columns(data(matrix), width, stride, sums, begin, end);
  });
}

struct Normed {
  torch::Tensor rows_SD, inverse_S;
};

Normed normalize_rows(const torch::Tensor& x, const torch::Tensor& rows, const torch::Tensor& bias,
                      double epsilon) {
  const std::int64_t width = x.size(1), count = rows.defined() ? rows.size(0) : x.size(0);
  Normed normed{floats({count, width}), floats({count})};
  const RowsToNormalize in{data(x),
                           indices(rows),
                           data(bias),
                           data(normed.rows_SD),
                           data(normed.inverse_S),
                           width,
                           static_cast<float>(epsilon)};
  for_row_blocks(count, [&](std::int64_t begin, std::int64_t end) { normalize(in, begin, end); });
  return normed;
}

void add_normed_gradient(const torch::Tensor& gradient, const torch::Tensor& rows,
                         const torch::Tensor& normed_gradient, const Normed& normed) {
  const NormalizedGradient in{data(gradient),       indices(rows),          data(normed_gradient),
                              data(normed.rows_SD), data(normed.inverse_S), gradient.size(1)};
  for_row_blocks(normed_gradient.size(0),
                 [&](std::int64_t begin, std::int64_t end) { normalize_backward(in, begin, end); });
}

// The gradient as a branch sees it: its own rows, times their factors.
torch::Tensor gradient_of_branch(const torch::Tensor& gradient, const BranchRows& branch) {
  if (!branch.rows_S.defined()) return gradient;
  auto taken = floats({branch.rows_S.size(0), gradient.size(1)});
  const RowSelection selection{indices(branch.rows_S), data(branch.factors_S), gradient.size(1)};
  for_row_blocks(taken.size(0), [&](std::int64_t begin, std::int64_t end) {
    take_rows(selection, data(gradient), data(taken), begin, end);
  });
  return taken;
}

// x plus a branch's last product. The product adds itself where all rows are there; its bias waits for the
// next pass over x
// and is returned.
torch::Tensor add_branch(torch::Tensor& x, const torch::Tensor& branch_input, const torch::Tensor& weight,
                         const torch::Tensor& bias, const BranchRows& branch) {
  if (!branch.rows_S.defined()) {
    x.addmm_(branch_input, weight.t());
    return bias;
  }
  const auto output = branch_input.mm(weight.t());
  const RowSelection selection{indices(branch.rows_S), data(branch.factors_S), x.size(1)};
  for_row_blocks(output.size(0), [&](std::int64_t begin, std::int64_t end) {
    add_rows(selection, data(x), data(output), data(bias), begin, end);
  });
  return {};
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
  template <class Float>
  HeadRows<Float> queries(std::int64_t column) const {
    return {data(with_queries()) + column, with_queries().size(1)};
  }
  // part 0: keys, 1: values
  template <class Float>
  HeadRows<Float> others(std::int64_t part, std::int64_t row, std::int64_t column) const {
    const auto& matrix = with_others();
    const std::int64_t before = all_S3D.defined() ? (part + 1) * width() : part * width();
    return {data(matrix) + row * matrix.size(1) + before + column, matrix.size(1)};
  }
};

struct AttentionState {
  Normed normed;
  QueriesKeysValues qkv;
  torch::Tensor output_PD, log_sum_HP;  // log_sum undefined: not wanted
  PickedQueries picked;
};

// Calls work(head of an image, its first row, its column, scratch) for all of them.
void for_heads(const AttentionState& state, const TokenLayout& layout, std::int64_t heads,
               const torch::Tensor& bias,
               const std::function<void(const AttentionHead&, std::int64_t, std::int64_t, float*)>& work) {
  const std::int64_t width = state.qkv.width() / heads, rows = state.output_PD.size(0);
  std::int64_t images_before = 0;
  for (std::size_t g = 0; g < layout.images.size(); ++g) {
    const std::int64_t tokens = layout.tokens[g];
    at::parallel_for(0, layout.images[g] * heads, 1, [&](std::int64_t begin, std::int64_t end) {
      const auto scratch = floats({attention_scratch(tokens, width)});
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i / heads, head = i % heads, first = layout.first[g] + image * tokens;
        AttentionHead job;
        job.queries = job.keys = tokens;
        job.width = width;
        const std::int64_t column = head * width;
        std::int64_t row = first;  // of the first query
        if (!state.picked.begins.empty()) {
          const auto* range = state.picked.begins.data() + images_before + image;
          job.queries = range[1] - range[0];
          job.query_rows = state.picked.queries.data() + range[0];
          row = 0;
        }
        const auto at_row = [&](auto matrix) {
          matrix.first += row * matrix.stride;
          return matrix;
        };
        job.q = at_row(state.qkv.queries<const float>(column));
        job.q_bias = data(bias) + column;
        job.k = state.qkv.others<const float>(0, first, column);
        job.v = state.qkv.others<const float>(1, first, column);
        job.output = at_row(HeadRows<float>{data(state.output_PD) + column, heads * width});
        if (state.log_sum_HP.defined()) job.log_sum = data(state.log_sum_HP) + head * rows + row;
        work(job, row, column, data(scratch));
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

ActivationRows activation_rows(const torch::Tensor& before, const torch::Tensor& bias,
                               Activation activation) {
  const std::int64_t inputs = before.size(1);
  return {activation, activation == Activation::kSwiGlu ? inputs / 2 : inputs, data(before), data(bias)};
}

ActivationRows from_row(const ActivationRows& rows, std::int64_t row) {
  ActivationRows from = rows;
  from.before += row * activation_inputs(rows.activation, rows.hidden);
  return from;
}

class FusedBlocks {
 public:
  FusedBlocks(const std::vector<BlockWeights>& blocks, const BlockRun& run, bool is_training)
      : blocks_(blocks), run_(run), is_training_(is_training) {}

  // x is used up.
  torch::Tensor forward(torch::Tensor x) {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      BlockState state{fold(blocks_[i]), {}, {}};
      const bool is_picking = run_.picked_P.defined() && i + 1 == blocks_.size();
      attention_branch(x, state, rows_of(i, 0), is_picking);
      feed_forward_branch(x, state, rows_of(i, 1));
      if (is_training_) states_.push_back(std::move(state));
    }
    if (waiting_bias_.defined()) x.add_(waiting_bias_);
    return x;
  }

  // The gradient of x; those of the weights are appended block by block, the last one first.
  torch::Tensor backward(torch::Tensor gradient, std::vector<BlockWeights>& weight_gradients) {
    for (std::size_t i = blocks_.size(); i-- > 0;) {
      BlockState state = std::move(states_[i]);
      states_[i] = {};
      FoldedBlock folded;
      feed_forward_backward(gradient, state, rows_of(i, 1), folded);
      const bool is_picking = run_.picked_P.defined() && i + 1 == blocks_.size();
      attention_backward(gradient, state, rows_of(i, 0), is_picking, folded);
      weight_gradients.push_back(unfold_gradients(blocks_[i], state.folded, folded));
    }
    states_.clear();
    return gradient;
  }

  bool has_states() const { return states_.size() == blocks_.size(); }

 private:
  BranchRows rows_of(std::size_t block, std::size_t branch) const {
    return run_.kept.empty() ? BranchRows{{}, {}, run_.layout} : run_.kept[block][branch];
  }

  void attention_branch(torch::Tensor& x, BlockState& state, const BranchRows& branch, bool is_picking) {
    AttentionState& attention = state.attention;
    const std::int64_t width = x.size(1);
    attention.normed = normalize_rows(x, branch.rows_S, waiting_bias_, run_.epsilon);
    const auto& normed = attention.normed.rows_SD;
    const auto& weight = state.folded.qkv_weight;
    if (is_picking) {
      attention.qkv.queries_PD = normed.index_select(0, run_.picked_P).mm(weight.narrow(0, 0, width).t());
      attention.qkv.others_S2D = normed.mm(weight.narrow(0, width, 2 * width).t());
      attention.picked = queries_of(run_.picked_P, run_.layout);
    } else {
      attention.qkv.all_S3D = normed.mm(weight.t());
    }
    attention.output_PD = floats({attention.qkv.with_queries().size(0), width});
    if (is_training_) attention.log_sum_HP = floats({run_.heads, attention.output_PD.size(0)});
    for_heads(
        attention, branch.layout, run_.heads, state.folded.query_bias,
        [](const AttentionHead& head, std::int64_t, std::int64_t, float* scratch) { attend(head, scratch); });
    if (is_picking) x = x.index_select(0, run_.picked_P);
    waiting_bias_ =
        add_branch(x, attention.output_PD, state.folded.proj_weight, state.folded.proj_bias, branch);
  }

  void attention_backward(torch::Tensor& gradient, BlockState& state, const BranchRows& branch,
                          bool is_picking, FoldedBlock& folded) {
    AttentionState& attention = state.attention;
    const std::int64_t width = gradient.size(1);
    const auto outer = gradient_of_branch(gradient, branch);
    folded.proj_bias = column_sums(outer, width);
    folded.proj_weight = outer.t().mm(attention.output_PD);
    const auto output_gradient = outer.mm(state.folded.proj_weight);
    const auto inner = QueriesKeysValues::empty_like(attention.qkv);
    const auto backward = [&](const AttentionHead& head, std::int64_t row, std::int64_t column,
                              float* scratch) {
      AttentionGradients gradients;
      gradients.output = {data(output_gradient) + row * width + column, width};
      gradients.q = inner.queries<float>(column);
      gradients.q.first += row * gradients.q.stride;
      gradients.k = {data(inner.with_others()) + (head.k.first - data(attention.qkv.with_others())),
                     head.k.stride};
      gradients.v = {data(inner.with_others()) + (head.v.first - data(attention.qkv.with_others())),
                     head.v.stride};
      attend_backward(head, gradients, scratch);
    };
    for_heads(attention, branch.layout, run_.heads, state.folded.query_bias, backward);
    folded.query_bias = column_sums(inner.with_queries(), width);
    const auto& normed = attention.normed.rows_SD;
    const auto& weight = state.folded.qkv_weight;
    torch::Tensor normed_gradient;
    if (is_picking) {
      folded.qkv_weight = torch::empty_like(weight);
      auto of_queries = folded.qkv_weight.narrow(0, 0, width),
           of_others = folded.qkv_weight.narrow(0, width, 2 * width);
      at::mm_out(of_queries, inner.queries_PD.t(), normed.index_select(0, run_.picked_P));
      at::mm_out(of_others, inner.others_S2D.t(), normed);
      normed_gradient = inner.others_S2D.mm(weight.narrow(0, width, 2 * width));
      add_picked(normed_gradient, inner.queries_PD.mm(weight.narrow(0, 0, width)));
      auto whole = torch::zeros_like(normed);
      add_picked(whole, gradient);
      gradient = whole;
    } else {
      folded.qkv_weight = inner.all_S3D.t().mm(normed);
      normed_gradient = inner.all_S3D.mm(weight);
    }
    add_normed_gradient(gradient, branch.rows_S, normed_gradient, attention.normed);
  }

  // One thread: a row may have been picked twice.
  void add_picked(torch::Tensor& large_RD, const torch::Tensor& small_PD) const {
    const RowSelection selection{indices(run_.picked_P), nullptr, large_RD.size(1)};
    add_rows(selection, data(large_RD), data(small_PD), nullptr, 0, small_PD.size(0));
  }

  void feed_forward_branch(torch::Tensor& x, BlockState& state, const BranchRows& branch) {
    FeedForwardState& inside = state.feed_forward;
    inside.normed = normalize_rows(x, branch.rows_S, waiting_bias_, run_.epsilon);
    inside.before_SI = inside.normed.rows_SD.mm(state.folded.in_weight.t());
    const auto rows = activation_rows(inside.before_SI, state.folded.in_bias, run_.activation);
    const bool is_in_place = !is_training_ && rows.hidden == inside.before_SI.size(1);
    const auto after = is_in_place ? inside.before_SI : floats({inside.before_SI.size(0), rows.hidden});
    for_row_blocks(after.size(0), [&](std::int64_t begin, std::int64_t end) {
      activate(from_row(rows, begin), data(after) + begin * rows.hidden, end - begin);
    });
    waiting_bias_ = add_branch(x, after, state.folded.out_weight, state.folded.out_bias, branch);
  }

  void feed_forward_backward(const torch::Tensor& gradient, BlockState& state, const BranchRows& branch,
                             FoldedBlock& folded) const {
    const FeedForwardState& inside = state.feed_forward;
    const auto outer = gradient_of_branch(gradient, branch);
    folded.out_bias = column_sums(outer, outer.size(1));
    const auto rows = activation_rows(inside.before_SI, state.folded.in_bias, run_.activation);
    const auto after = outer.mm(state.folded.out_weight);  // its gradient, then itself
    const auto before_gradient = torch::empty_like(inside.before_SI);
    const std::int64_t inputs = before_gradient.size(1);
    folded.in_bias =
        column_sums(after.size(0), inputs, [&](std::int64_t begin, std::int64_t end, float* sums) {
          activate_backward(from_row(rows, begin), data(after) + begin * rows.hidden,
                            data(before_gradient) + begin * inputs, sums, end - begin);
        });
    folded.out_weight = outer.t().mm(after);
    folded.in_weight = before_gradient.t().mm(inside.normed.rows_SD);
    add_normed_gradient(gradient, branch.rows_S, before_gradient.mm(state.folded.in_weight), inside.normed);
  }

  const std::vector<BlockWeights> blocks_;
  const BlockRun run_;
  const bool is_training_;
  torch::Tensor waiting_bias_;
  std::vector<BlockState> states_;  // what the backward pass needs
};

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

  std::unique_ptr<FusedBlocks> blocks;
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
    node->blocks = std::make_unique<FusedBlocks>(blocks, run, true);
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
  return FusedBlocks(blocks, run, false).forward(x_RD.clone());
}

}  // namespace paddock::model
