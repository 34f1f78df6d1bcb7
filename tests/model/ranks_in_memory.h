// tests/model/ranks_in_memory.h – the ranks of a run as threads of one process, for tests of what they do together.
// Sums are added in the order of ranks, so a test's numbers are the same each time. A rank that throws or returns while
// others wait for it lets them fail instead of waiting for ever; so does calling different operations at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "model/collective.h"

namespace paddock::model {

class RanksInMemory {
 public:
  explicit RanksInMemory(std::int64_t ranks) : ranks_(ranks), posted_(static_cast<std::size_t>(ranks)) {}

  // work(collective) on a thread of each rank, until all have ended. Throws what was thrown first.
  void run(const std::function<void(Collective&)>& work) {
    arrived_ = 0;
    is_left_ = false;
    failure_ = nullptr;
    std::vector<std::thread> threads;
    for (std::int64_t rank = 0; rank < ranks_; ++rank) {
      threads.emplace_back([this, rank, &work] {
        Member member(*this, rank);
        std::exception_ptr failure;
        try {
          work(member);
        } catch (...) {
          failure = std::current_exception();
        }
        leave(failure);
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // What a rank puts on the table for an operation.
  struct Posted {
    std::string operation;
    torch::Tensor tensor;
    std::vector<std::int64_t> sizes;
  };

  class Member final : public Collective {
   public:
    Member(RanksInMemory& all, std::int64_t rank) : all_(all), rank_(rank) {}

    std::int64_t rank() const override { return rank_; }
    std::int64_t ranks() const override { return all_.ranks_; }

    void all_reduce_sum(torch::Tensor& tensor) override {
      reduce("sum", tensor, [](torch::Tensor& into, const torch::Tensor& other) { into.add_(other); });
    }
    void all_reduce_max(torch::Tensor& tensor) override {
      reduce("max", tensor, [](torch::Tensor& into, const torch::Tensor& other) {
        into.copy_(torch::maximum(into, other));
      });
    }
    torch::Tensor all_gather(const torch::Tensor& tensor) override {
      torch::Tensor all;
      exchange({"gather", tensor, {}}, [&](const std::vector<Posted>& posted) {
        std::vector<torch::Tensor> tensors;
        for (const Posted& one : posted) tensors.push_back(one.tensor);
        all = torch::stack(tensors);
      });
      return all;
    }
    torch::Tensor all_to_all(const torch::Tensor& sent, const std::vector<std::int64_t>& sent_sizes,
                             const std::vector<std::int64_t>& received_sizes) override {
      torch::Tensor received;
      exchange({"all-to-all", sent, sent_sizes}, [&](const std::vector<Posted>& posted) {
        std::vector<torch::Tensor> pieces;
        const auto self = static_cast<std::size_t>(rank_);
        for (std::size_t from = 0; from < posted.size(); ++from) {
          const auto& sizes = posted[from].sizes;
          if (sizes.size() != posted.size() || sizes[self] != received_sizes[from])
            throw std::logic_error("what one rank sends another does not expect");
          const auto begin = std::accumulate(sizes.begin(), sizes.begin() + rank_, std::int64_t{0});
          pieces.push_back(posted[from].tensor.narrow(0, begin, sizes[self]));
        }
        received = torch::cat(pieces).clone();
      });
      return received;
    }
    void broadcast(torch::Tensor& tensor, std::int64_t root) override {
      torch::Tensor carried;
      exchange({"broadcast from " + std::to_string(root), tensor, {}},
               [&](const std::vector<Posted>& posted) {
                 carried = posted[static_cast<std::size_t>(root)].tensor.clone();
               });
      tensor.copy_(carried);
    }
    void barrier() override {
      exchange({"barrier", {}, {}}, [](const std::vector<Posted>&) {});
    }

   private:
    template <typename Combine>
    void reduce(const char* operation, torch::Tensor& tensor, Combine combine) {
      torch::Tensor reduced;
      exchange({operation, tensor, {}}, [&](const std::vector<Posted>& posted) {
        reduced = posted.front().tensor.clone();
        for (std::size_t from = 1; from < posted.size(); ++from) combine(reduced, posted[from].tensor);
      });
      tensor.copy_(reduced);
    }

    // `read` sees what all have posted, and must not change it: the others are reading too.
    template <typename Read>
    void exchange(Posted own, Read read) {
      const torch::NoGradGuard no_grad;
      all_.posted_[static_cast<std::size_t>(rank_)] = std::move(own);
      all_.meet();
      for (const Posted& one : all_.posted_) {
        if (one.operation != all_.posted_.front().operation)
          throw std::logic_error("ranks do " + all_.posted_.front().operation + " and " + one.operation +
                                 " at once");
      }
      read(std::as_const(all_.posted_));
      all_.meet();
    }

    RanksInMemory& all_;
    const std::int64_t rank_;
  };

  // Returns once all ranks are here.
  void meet() {
    std::unique_lock lock(mutex_);
    const std::int64_t round = round_;
    if (++arrived_ == ranks_) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&] { return round_ != round || is_left_; });
    if (round_ == round) throw std::runtime_error("a peer is gone");
  }

  void leave(const std::exception_ptr& failure) {
    const std::lock_guard lock(mutex_);
    if (failure && !failure_) failure_ = failure;
    is_left_ = true;
    changed_.notify_all();
  }

  const std::int64_t ranks_;
  std::vector<Posted> posted_;  // by rank; each writes its own before a meeting, all read until the next
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t arrived_ = 0, round_ = 0;
  bool is_left_ = false;
  std::exception_ptr failure_;
};

}  // namespace paddock::model
