// tests/model/passing_ranks.h – passes on all that a rank does with others; tests change a part of it, or have it happen late.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "model/collective.h"

namespace paddock::model {

class PassingRanks : public Collective {
 public:
  explicit PassingRanks(Collective& ranks) : ranks_(ranks) {}

  std::int64_t rank() const override { return ranks_.rank(); }
  std::int64_t ranks() const override { return ranks_.ranks(); }
  void all_reduce_sum(torch::Tensor& tensor) override { ranks_.all_reduce_sum(tensor); }
  void all_reduce_max(torch::Tensor& tensor) override { ranks_.all_reduce_max(tensor); }
  torch::Tensor all_gather(const torch::Tensor& tensor) override { return ranks_.all_gather(tensor); }
  torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>& sent_sizes,
                           const std::vector<std::int64_t>& received_sizes) override {
    return ranks_.all_to_all(sent, sent_sizes, received_sizes);
  }
  void broadcast(torch::Tensor& tensor, std::int64_t root) override { ranks_.broadcast(tensor, root); }
  void barrier() override { ranks_.barrier(); }

 protected:
  // What is only begun happens when it is waited for, as late as a network may be.
  struct Late final : Pending {
    explicit Late(std::function<void()> its_work) : work(std::move(its_work)) {}
    void wait() override { work(); }
    std::function<void()> work;
  };

  Collective& ranks_;
};

}  // namespace paddock::model
