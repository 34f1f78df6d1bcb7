// Whoever wants to know a user is answered at once, whatever the machine's directory of users does.
#include "worker/user_directory.h"

#include <gtest/gtest.h>

namespace paddock::worker {
namespace {

RankUser ada(std::vector<gid_t> groups) {
  return {"ada", 1'000, 1'000, std::move(groups), "/home/ada"};
}

// Answers what it is told to, when it is told to; it outlives the test with the thread that asks.
class Directory {
 public:
  Result<RankUser> ask() {
    return state_.wait([](const State& state) { return state.asked < state.let_through || state.is_over; },
                       [](State& state) {
                         ++state.asked;
                         return state.answer;
                       });
  }
  // Answers one more question so, and returns when the next is asked: what was answered is known by then.
  void answer_one(Result<RankUser> answer) {
    state_.with([&](State& state) {
      state.answer = std::move(answer);
      ++state.let_through;
    });
    state_.wait([](const State& state) { return state.asked == state.let_through; }, [](State&) {});
  }
  void wait_until_asked(int times) {
    begun_.wait([&](const int& begun) { return begun >= times; }, [](int&) {});
  }
  void note_asked() {
    begun_.with([](int& begun) { ++begun; });
  }
  void end() {
    state_.with([](State& state) { state.is_over = true; });
  }

 private:
  struct State {
    Result<RankUser> answer = fail(Code::kUnavailable, "nobody answers");
    int asked = 0;
    int let_through = 0;
    bool is_over = false;
  };
  Guarded<State> state_;
  Guarded<int> begun_;
};

class Users : public ::testing::Test {
 protected:
  Users()
      : users_(
            {{"ada", ada({1})}},
            [directory = directory_](const std::string&) {
              directory->note_asked();
              return directory->ask();
            },
            Millis(0)) {}
  ~Users() override { directory_->end(); }
  // The answer to question number `times`, taken up.
  void answer(int times, Result<RankUser> said) {
    directory_->wait_until_asked(times);
    directory_->answer_one(std::move(said));
    directory_->wait_until_asked(times + 1);
  }

  const std::shared_ptr<Directory> directory_ = std::make_shared<Directory>();
  UserDirectory users_;
};

TEST_F(Users, AreKnownWhileTheDirectoryHangs) {
  directory_->wait_until_asked(1);  // and it is not answered
  EXPECT_EQ(*users_.find("ada"), ada({1}));
}

TEST_F(Users, AreKnownByTheNewestAnswer) {
  answer(1, ada({1, 2}));
  EXPECT_EQ(*users_.find("ada"), ada({1, 2}));
}

TEST_F(Users, AreKnownAsBeforeWhenTheDirectoryCannotSay) {
  answer(1, ada({3}));
  answer(2, fail(Code::kUnavailable, "no server"));
  EXPECT_EQ(*users_.find("ada"), ada({3}));
}

TEST_F(Users, ThatHaveVanishedAreGoneAndMayComeBack) {
  answer(1, fail(Code::kInvalid, "this machine knows no user 'ada'"));
  EXPECT_EQ(users_.find("ada").error().code, Code::kInvalid);
  answer(2, ada({1}));
  EXPECT_EQ(*users_.find("ada"), ada({1}));
}

}  // namespace
}  // namespace paddock::worker
