#include "jobs/process_group.h"

#include <numeric>
#include <stdexcept>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace paddock::jobs {
namespace {

class GlooCollective final : public model::Collective {
 public:
  GlooCollective(const RankEnvironment& environment, std::chrono::milliseconds timeout)
      : rank_(environment.rank), world_(environment.world), timeout_(timeout) {
    c10d::TCPStoreOptions options;
    options.port = environment.master_port;
    options.isServer = rank_ == 0;
    options.numWorkers = static_cast<std::size_t>(world_);
    options.timeout = timeout;
    const auto store = c10::make_intrusive<c10d::TCPStore>(environment.master_address, options);
    const auto gloo = c10d::ProcessGroupGloo::Options::create(timeout);
    // On one machine the loopback; else the interface that this host's own name leads to.
    const bool is_local =
        environment.master_address == "127.0.0.1" || environment.master_address == "localhost";
    gloo->devices.push_back(is_local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                     : c10d::ProcessGroupGloo::createDefaultDevice());
    gloo->threads = 1;
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store, static_cast<int>(rank_),
                                                         static_cast<int>(world_), gloo);
  }

  std::int64_t rank() const override { return rank_; }
  std::int64_t ranks() const override { return world_; }
  double seconds_waited() const override { return waited_.count(); }
  void all_reduce_sum(torch::Tensor& tensor) override { all_reduce(tensor, c10d::ReduceOp::SUM); }
  void all_reduce_max(torch::Tensor& tensor) override { all_reduce(tensor, c10d::ReduceOp::MAX); }

  torch::Tensor all_gather(const torch::Tensor& tensor) override {
    std::vector<torch::Tensor> inputs{tensor.cpu().contiguous()};
    std::vector<std::vector<torch::Tensor>> outputs(1);
    for (std::int64_t i = 0; i < world_; ++i) outputs[0].push_back(torch::empty_like(inputs[0]));
    c10d::AllgatherOptions options;
    options.timeout = timeout_;
    wait(group_->allgather(outputs, inputs, options), "all-gather");
    return torch::stack(outputs[0]).to(tensor.device());
  }

  torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>& sent_sizes,
                           const std::vector<std::int64_t>& received_sizes) override {
    auto input = sent.cpu().contiguous();
    auto output = torch::empty(
        {std::accumulate(received_sizes.begin(), received_sizes.end(), std::int64_t{0})}, input.options());
    auto input_sizes = sent_sizes, output_sizes = received_sizes;
    c10d::AllToAllOptions options;
    options.timeout = timeout_;
    wait(group_->alltoall_base(output, input, output_sizes, input_sizes, options), "all-to-all");
    return output.to(sent.device());
  }

  void broadcast(torch::Tensor& tensor, std::int64_t root) override {
    std::vector<torch::Tensor> carried{tensor.cpu()};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = timeout_;
    wait(group_->broadcast(carried, options), "broadcast");
    if (!tensor.device().is_cpu()) tensor.copy_(carried[0]);
  }

  void barrier() override {
    c10d::BarrierOptions options;
    options.timeout = timeout_;
    wait(group_->barrier(options), "barrier");
  }

 private:
  void all_reduce(torch::Tensor& tensor, c10d::ReduceOp::RedOpType operation) {
    std::vector<torch::Tensor> carried{tensor.cpu()};
    c10d::AllreduceOptions options;
    options.reduceOp = operation;
    options.timeout = timeout_;
    wait(group_->allreduce(carried, options), "all-reduce");
    if (!tensor.device().is_cpu()) tensor.copy_(carried[0]);
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
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

std::unique_ptr<model::Collective> join_process_group(const RankEnvironment& environment,
                                                      std::chrono::milliseconds timeout) {
  if (environment.world == 1) return std::make_unique<model::OneRank>();
  try {
    return std::make_unique<GlooCollective>(environment, timeout);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw std::runtime_error("rank " + std::to_string(environment.rank) + " could not meet the others at " +
                             environment.master_address + ":" + std::to_string(environment.master_port) +
                             ": " + text.substr(0, text.find('\n')));
  }
}

}  // namespace paddock::jobs
