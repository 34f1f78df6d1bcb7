#include "jobs/process_group.h"

#include <atomic>
#include <functional>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "jobs/devices.h"
#include "jobs/nccl_backend.h"

namespace paddock::jobs {
namespace {

c10::intrusive_ptr<c10d::Backend> gloo_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                               const RankEnvironment& environment,
                                               std::chrono::milliseconds timeout) {
  const auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  // On one machine the loopback; else the interface that this host's own name leads to.
  const bool is_local =
      environment.master_address == "127.0.0.1" || environment.master_address == "localhost";
  options->devices.push_back(is_local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                      : c10d::ProcessGroupGloo::createDefaultDevice());
  options->threads = 1;
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, static_cast<int>(environment.rank),
                                                     static_cast<int>(environment.world), options);
}

// All ranks are started at about the same time.
constexpr std::chrono::minutes kJoinTimeout{5};

// Tensors on the CPU go over Gloo, those on a GPU over NCCL; where that is missing, over the CPU.
class C10dRanks final : public model::Collective {
 public:
  C10dRanks(const RankEnvironment& environment, std::chrono::milliseconds timeout)
      : rank_(environment.rank), world_(environment.world), timeout_(timeout) {
    c10d::TCPStoreOptions options;
    options.port = environment.master_port;
    options.isServer = rank_ == 0;
    options.numWorkers = static_cast<std::size_t>(world_);
    options.timeout = std::min<std::chrono::milliseconds>(timeout, kJoinTimeout);
    store_ = c10::make_intrusive<c10d::TCPStore>(environment.master_address, options);
    gloo_ = gloo_backend(store_, environment, timeout);
  }

  std::int64_t rank() const override { return rank_; }
  std::int64_t ranks() const override { return world_; }
  double seconds_waited() const override { return waited_.count(); }
  std::uint64_t operations() const override { return operations_; }
  void all_reduce_sum(torch::Tensor& tensor) override { all_reduce(tensor, c10d::ReduceOp::SUM); }
  void all_reduce_max(torch::Tensor& tensor) override { all_reduce(tensor, c10d::ReduceOp::MAX); }

  torch::Tensor all_gather(const torch::Tensor& tensor) override {
    std::vector<torch::Tensor> inputs{carried(tensor)};
    std::vector<std::vector<torch::Tensor>> outputs(1);
    for (std::int64_t i = 0; i < world_; ++i) outputs[0].push_back(torch::empty_like(inputs[0]));
    c10d::AllgatherOptions options;
    options.timeout = timeout_;
    wait(backend_of(inputs[0]).allgather(outputs, inputs, options), "all-gather");
    return torch::stack(outputs[0]).to(tensor.device());
  }

  torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>& sent_sizes,
                           const std::vector<std::int64_t>& received_sizes) override {
    auto input = carried(sent);
    auto output = torch::empty(
        {std::accumulate(received_sizes.begin(), received_sizes.end(), std::int64_t{0})}, input.options());
    auto input_sizes = sent_sizes, output_sizes = received_sizes;
    c10d::AllToAllOptions options;
    options.timeout = timeout_;
    wait(backend_of(input).alltoall_base(output, input, output_sizes, input_sizes, options), "all-to-all");
    return output.to(sent.device());
  }

  void broadcast(torch::Tensor& tensor, std::int64_t root) override {
    std::vector<torch::Tensor> tensors{carried(tensor)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = timeout_;
    wait(backend_of(tensors[0]).broadcast(tensors, options), "broadcast");
    if (!tensor.is_same(tensors[0])) tensor.copy_(tensors[0]);
  }

  std::unique_ptr<Pending> begin_broadcast(torch::Tensor& tensor, std::int64_t root) override {
    if (!goes_itself(tensor)) {
      broadcast(tensor, root);
      return nullptr;
    }
    std::vector<torch::Tensor> tensors{tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = timeout_;
    return std::make_unique<Begun>(*this, backend_of(tensor).broadcast(tensors, options), "broadcast");
  }

  std::unique_ptr<Pending> begin_all_to_all(torch::Tensor& received,
                                            const std::vector<std::int64_t>& received_sizes,
                                            const torch::Tensor& sent,
                                            const std::vector<std::int64_t>& sent_sizes) override {
    if (!goes_itself(sent) || !received.is_contiguous()) {
      return std::make_unique<Later>([this, received, received_sizes, sent, sent_sizes]() mutable {
        received.copy_(all_to_all(sent, sent_sizes, received_sizes));
      });
    }
    auto input = sent;
    auto output_sizes = received_sizes, input_sizes = sent_sizes;
    c10d::AllToAllOptions options;
    options.timeout = timeout_;
    return std::make_unique<Begun>(
        *this, backend_of(input).alltoall_base(received, input, output_sizes, input_sizes, options),
        "all-to-all");
  }

  void barrier() override {
    c10d::BarrierOptions options;
    options.timeout = timeout_;
    ++operations_;
    wait(gloo_->barrier(options), "barrier");
  }

 private:
  class Begun final : public Pending {
   public:
    Begun(C10dRanks& ranks, c10::intrusive_ptr<c10d::Work> work, const char* operation)
        : ranks_(ranks), work_(std::move(work)), operation_(operation) {}
    void wait() override { ranks_.wait(work_, operation_); }

   private:
    C10dRanks& ranks_;
    const c10::intrusive_ptr<c10d::Work> work_;
    const char* const operation_;
  };

  // What no backend takes as it lies is done when it is waited for, so that nobody is held up by the others before.
  class Later final : public Pending {
   public:
    explicit Later(std::function<void()> operation) : operation_(std::move(operation)) {}
    void wait() override { operation_(); }

   private:
    const std::function<void()> operation_;
  };

  void all_reduce(torch::Tensor& tensor, c10d::ReduceOp::RedOpType operation) {
    std::vector<torch::Tensor> tensors{carried(tensor)};
    c10d::AllreduceOptions options;
    options.reduceOp = operation;
    options.timeout = timeout_;
    wait(backend_of(tensors[0]).allreduce(tensors, options), "all-reduce");
    if (!tensor.is_same(tensors[0])) tensor.copy_(tensors[0]);
  }

  bool goes_itself(const torch::Tensor& tensor) {
    return (tensor.device().is_cpu() || has_nccl()) && tensor.is_contiguous();
  }

  // The tensor itself, contiguous, where a backend takes it; else a copy on the CPU. A GPU's own work is waited for here, where it
  // does not count as waiting for the others.
  torch::Tensor carried(const torch::Tensor& tensor) {
    finish_own_work(tensor.device());
    if (tensor.device().is_cpu() || has_nccl()) return tensor.contiguous();
    return tensor.cpu().contiguous();
  }

  // For one operation.
  c10d::Backend& backend_of(const torch::Tensor& tensor) {
    ++operations_;
    return tensor.device().is_cpu() ? *gloo_ : *nccl_;
  }

  // Asked for when the first tensor on a GPU comes, which is at the same operation on all ranks. All take the same way.
  bool has_nccl() {
    if (nccl_ || is_nccl_missing_) return !is_nccl_missing_;
    const NcclLibrary& library = nccl_library();
    const auto without = rank_without_nccl(*store_, rank_, world_, library.backend != nullptr);
    is_nccl_missing_ = without.has_value();
    if (is_nccl_missing_)
      std::cerr << "tensors of GPUs go to the other ranks over the CPU, which is slow: "
                << (library.backend == nullptr ? library.problem
                                               : "rank " + std::to_string(*without) + " cannot use NCCL")
                << '\n';
    else
      library.backend(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), static_cast<int>(rank_),
                      static_cast<int>(world_), timeout_, nccl_);
    return !is_nccl_missing_;
  }

  void wait(const c10::intrusive_ptr<c10d::Work>& work, const char* operation) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      work->wait(timeout_);
      waited_ += std::chrono::steady_clock::now() - begin;
    } catch (const std::exception& error) {
      const std::string text = error.what();
      throw std::runtime_error(std::string("rank ") + std::to_string(rank_) + ": " + operation +
                               " with the other ranks failed: " + text.substr(0, text.find('\n')));
    }
  }

  const std::int64_t rank_, world_;
  const std::chrono::milliseconds timeout_;
  std::chrono::duration<double> waited_{};
  std::atomic<std::uint64_t> operations_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Backend> gloo_, nccl_;
  bool is_nccl_missing_ = false;
};

constexpr std::chrono::seconds kRollCallTimeout{10};

class StoreRollCall final : public RollCall {
 public:
  explicit StoreRollCall(const RankEnvironment& environment) : environment_(environment) {
    for (std::int64_t rank = 0; rank < environment.world; ++rank)
      keys_.push_back("roll_call/" + std::to_string(rank));
  }

  void say(const Whereabouts& own) override {
    const std::string text = to_text(own);
    connected([&](c10d::Store& store) {
      store.set(keys_[static_cast<std::size_t>(environment_.rank)],
                std::vector<std::uint8_t>(text.begin(), text.end()));
    });
  }

  std::vector<std::optional<Whereabouts>> ask() override {
    std::vector<std::optional<Whereabouts>> answers(keys_.size());
    connected([&](c10d::Store& store) {
      if (store.check(keys_)) {
        const auto texts = store.multiGet(keys_);
        for (std::size_t i = 0; i < keys_.size(); ++i) answers[i] = read(texts[i]);
        return;
      }
      for (std::size_t i = 0; i < keys_.size(); ++i) {
        if (store.check({keys_[i]})) answers[i] = read(store.get(keys_[i]));
      }
    });
    return answers;
  }

 private:
  static std::optional<Whereabouts> read(const std::vector<std::uint8_t>& bytes) {
    return whereabouts_from_text(std::string(bytes.begin(), bytes.end()));
  }

  // What failed is done over another connection the next time.
  template <typename Act>
  void connected(const Act& act) {
    try {
      if (!store_) {
        c10d::TCPStoreOptions options;
        options.port = environment_.master_port;
        options.waitWorkers = false;
        options.timeout = kRollCallTimeout;
        store_ = c10::make_intrusive<c10d::TCPStore>(environment_.master_address, options);
      }
      act(*store_);
    } catch (...) {
      store_.reset();
      throw;
    }
  }

  const RankEnvironment environment_;
  std::vector<std::string> keys_;
  c10::intrusive_ptr<c10d::Store> store_;
};

}  // namespace

std::shared_ptr<RollCall> roll_call_of(const RankEnvironment& environment, const model::Collective& ranks) {
  if (ranks.ranks() == 1) return nullptr;
  return std::make_shared<StoreRollCall>(environment);
}

std::unique_ptr<model::Collective> join_process_group(const RankEnvironment& environment,
                                                      std::chrono::milliseconds timeout) {
  if (environment.world == 1) return std::make_unique<model::OneRank>();
  return connect_ranks(environment, timeout);
}

std::unique_ptr<model::Collective> connect_ranks(const RankEnvironment& environment,
                                                 std::chrono::milliseconds timeout) {
  try {
    return std::make_unique<C10dRanks>(environment, timeout);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw std::runtime_error("rank " + std::to_string(environment.rank) + " could not meet the others at " +
                             environment.master_address + ":" + std::to_string(environment.master_port) +
                             ": " + text.substr(0, text.find('\n')));
  }
}

}  // namespace paddock::jobs
