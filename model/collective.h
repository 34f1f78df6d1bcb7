// model/collective.h – what the ranks of a run do together. OneRank is the form for a rank alone; jobs/process_group.h has
// the one over c10d.
// Every rank calls every operation in the same order; results are the same bits on all ranks and on every repetition.
// In place on contiguous tensors. Throws std::runtime_error when a peer is gone or an operation times out.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace paddock::model {

class Collective {
 public:
  virtual ~Collective() = default;
  virtual std::int64_t rank() const = 0;
  virtual std::int64_t ranks() const = 0;
  virtual void all_reduce_sum(torch::Tensor& tensor) = 0;
  virtual void all_reduce_max(torch::Tensor& tensor) = 0;
  // [ranks, …]: every rank's tensor, which have one shape, in the order of ranks.
  virtual torch::Tensor all_gather(const torch::Tensor& tensor) = 0;
  // `sent` [sum of sent_sizes]: the r-th piece goes to rank r. Returns the pieces from all ranks one after the other, that
  // of rank r being received_sizes[r] long: what r sends here, as r itself says.
  virtual torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>& sent_sizes,
                                   const std::vector<std::int64_t>& received_sizes) = 0;
  // Everyone has the tensor of `root` on return.
  virtual void broadcast(torch::Tensor& tensor, std::int64_t root) = 0;
  // The same two, begun only: their tensors are nobody's until Pending::wait() has returned; other operations may be begun and
  // waited for meanwhile. nullptr: it is done.
  class Pending {
   public:
    virtual ~Pending() = default;
    virtual void wait() = 0;
  };
  virtual std::unique_ptr<Pending> begin_broadcast(torch::Tensor& tensor, std::int64_t root) {
    broadcast(tensor, root);
    return nullptr;
  }
  // `received` [sum of received_sizes] is overwritten.
  virtual std::unique_ptr<Pending> begin_all_to_all(torch::Tensor& received,
                                                    const std::vector<std::int64_t>& received_sizes,
                                                    const torch::Tensor& sent,
                                                    const std::vector<std::int64_t>& sent_sizes) {
    received.copy_(all_to_all(sent, sent_sizes, received_sizes));
    return nullptr;
  }
  virtual void barrier() = 0;
  // Spent in the operations so far, waiting included.
  virtual double seconds_waited() const { return 0; }
  // Begun so far: on a rank that keeps the others waiting, fewer than on those. From any thread.
  virtual std::uint64_t operations() const { return 0; }
};

class OneRank final : public Collective {
 public:
  std::int64_t rank() const override { return 0; }
  std::int64_t ranks() const override { return 1; }
  void all_reduce_sum(torch::Tensor&) override {}
  void all_reduce_max(torch::Tensor&) override {}
  torch::Tensor all_gather(const torch::Tensor& tensor) override { return tensor.unsqueeze(0); }
  torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>&,
                           const std::vector<std::int64_t>&) override {
    return sent.clone();
  }
  void broadcast(torch::Tensor&, std::int64_t) override {}
  void barrier() override {}
};

}  // namespace paddock::model
