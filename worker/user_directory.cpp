#include "worker/user_directory.h"

#include <csignal>
#include <thread>
#include <utility>
#include <vector>

namespace paddock::worker {
namespace {

// Signals are for the thread that has the loop. What is started here inherits the mask.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

UserDirectory::UserDirectory(std::map<std::string, RankUser> known, Ask ask, Millis every)
    : known_(std::make_shared<Guarded<Known>>(Known(known.begin(), known.end()))) {
  std::vector<std::string> names;
  for (const auto& [name, user] : known) names.push_back(name);
  const NoSignals here;
  // Not joined: it may hang in the directory for ever, and the worker must be able to end.
  std::thread([names, ask = std::move(ask), every, owner = std::weak_ptr(known_)] {
    while (true) {
      std::this_thread::sleep_for(every);
      for (const std::string& name : names) {
        const Result<RankUser> answer = ask(name);
        const auto still_there = owner.lock();
        if (!still_there) return;
        if (!answer && answer.error().code == Code::kUnavailable) continue;
        still_there->with([&](Known& users) { users.insert_or_assign(name, answer); });
      }
    }
  }).detach();
}

Result<RankUser> UserDirectory::find(const std::string& name) const {
  return known_->with([&](const Known& users) -> Result<RankUser> {
    const auto found = users.find(name);
    if (found == users.end()) return fail(Code::kInvalid, "nobody asked for user '" + name + "'");
    return found->second;
  });
}

}  // namespace paddock::worker
