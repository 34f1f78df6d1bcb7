#include "data/loader.h"

#include <deque>
#include <exception>
#include <thread>
#include <utility>

#include "base/guarded.h"
#include "data/batch_maker.h"

namespace paddock::data {

// Batches being made, oldest first. A thread claims the oldest piece of work that nobody has: a picture, or
// the masks (the piece after the last picture). Batches leave in the order of their steps, whichever is
// finished first.
class Loader::Workers {
 public:
  Workers(const storage::SampleSet& set, const LoaderOptions& options, std::uint64_t first_step)
      : maker_(set, options),
        first_shard_(options.first_shard),
        last_shard_(options.last_shard),
        next_step_(first_step),
        next_shard_(options.first_shard) {
    if (options.threads == 0) return;
    queue_.with([&](Queue& queue) {
      const int ahead = options.depth * (last_shard_ - first_shard_);
      for (int i = 0; i < ahead; ++i) begin_one(queue);
    });
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { work(); });
  }

  ~Workers() {
    queue_.with([](Queue& queue) { queue.is_stopping = true; });
    for (std::thread& thread : threads_) thread.join();
  }

  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  Batch next() { return threads_.empty() ? made_here() : made_ahead(); }
  std::vector<Quarantined> quarantined() const { return maker_.quarantined(); }
  std::uint64_t retries() const { return maker_.retries(); }

 private:
  struct Pending {
    Batch batch;
    int claimed = 0;  // pieces that some thread has or had
    int left = 0;     // pieces not finished
    std::exception_ptr failure;
  };
  struct Queue {
    std::deque<std::unique_ptr<Pending>> pending;
    bool is_stopping = false;
  };
  struct Claim {
    Pending* pending = nullptr;  // stays in the queue until this piece is finished
    int piece = 0;
  };

  int pieces() const { return maker_.pictures() + 1; }

  void make_piece(Batch& batch, int piece) const {
    if (piece < maker_.pictures())
      maker_.make_picture(batch, piece);
    else
      maker_.make_masks(batch);
  }

  Batch made_here() {
    Batch batch = begin_next();
    for (int piece = 0; piece < pieces(); ++piece) make_piece(batch, piece);
    maker_.finish(batch);
    return batch;
  }

  Batch begin_next() {
    Batch batch = maker_.begin(next_step_, next_shard_);
    if (++next_shard_ == last_shard_) {
      next_shard_ = first_shard_;
      ++next_step_;
    }
    return batch;
  }

  // A failed batch stays at the front: asking again fails again.
  Batch made_ahead() {
    const auto is_ready = [](Queue& queue) { return queue.pending.front()->left == 0; };
    std::unique_ptr<Pending> done = queue_.wait(is_ready, [&](Queue& queue) {
      if (queue.pending.front()->failure) std::rethrow_exception(queue.pending.front()->failure);
      std::unique_ptr<Pending> front = std::move(queue.pending.front());
      queue.pending.pop_front();
      begin_one(queue);
      return front;
    });
    maker_.finish(done->batch);
    return std::move(done->batch);
  }

  void begin_one(Queue& queue) {
    auto pending = std::make_unique<Pending>();
    pending->batch = begin_next();
    pending->left = pieces();
    queue.pending.push_back(std::move(pending));
  }

  Claim claim(Queue& queue) const {
    for (const auto& pending : queue.pending)
      if (pending->claimed < pieces()) return {pending.get(), pending->claimed++};
    return {};
  }

  bool has_work(const Queue& queue) const {
    for (const auto& pending : queue.pending)
      if (pending->claimed < pieces()) return true;
    return false;
  }

  void work() {
    for (;;) {
      const Claim mine =
          queue_.wait([this](Queue& queue) { return queue.is_stopping || has_work(queue); },
                      [this](Queue& queue) { return queue.is_stopping ? Claim{} : claim(queue); });
      if (mine.pending == nullptr) return;
      std::exception_ptr failure;
      try {
        make_piece(mine.pending->batch, mine.piece);
      } catch (...) {
        failure = std::current_exception();  // thrown again in next(), on the owner's thread
      }
      queue_.with([&](Queue&) {
        if (failure) mine.pending->failure = failure;
        --mine.pending->left;
      });
    }
  }

  BatchMaker maker_;
  const int first_shard_, last_shard_;
  std::uint64_t next_step_;
  int next_shard_;
  Guarded<Queue> queue_;
  std::vector<std::thread> threads_;  // last: they use everything above
};

Loader::Loader(const storage::SampleSet& set, const LoaderOptions& options, std::uint64_t first_step)
    : workers_(std::make_unique<Workers>(set, options, first_step)) {}

Loader::~Loader() = default;

Batch Loader::next() {
  return workers_->next();
}

std::vector<Quarantined> Loader::quarantined() const {
  return workers_->quarantined();
}

std::uint64_t Loader::retries() const {
  return workers_->retries();
}

}  // namespace paddock::data
