// Reservations as they are asked for over the wire: made, listed, removed and refused, and by whom.
#include <gmock/gmock.h>

#include "base/limits.h"
#include "coordinator/answers.h"
#include "tests/coordinator/stepped_coordinator.h"

namespace paddock::coordinator {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using wire::Message;
using wire::Role;

constexpr WallTime kBegin{1'800'000'000'000};

// What is asked for; each test changes what it is about.
struct Wish {
  std::string name = "talk";
  std::vector<std::string> tenants = {"vision"};
  std::uint32_t nodes = 1;
  std::vector<std::string> labels = {};
  std::int64_t begins_unix_ms = 0;
  std::uint64_t duration_ms = static_cast<std::uint64_t>(Millis(hours(1)).count());
};

// Two nodes, a and b.
class Reservations : public ::testing::Test {
 protected:
  Reservations() : coordinator_(kBegin) {
    coordinator_.start();
    coordinator_.join("a");
    coordinator_.join("b");
  }
  wire::Envelope reserve(const Wish& wish) {
    return coordinator_.ask([&](Message::Builder message) {
      auto request = message.initReserve();
      request.setName(wish.name);
      request.setNodes(wish.nodes);
      auto tenants = request.initTenants(static_cast<unsigned>(wish.tenants.size()));
      for (unsigned i = 0; i < tenants.size(); ++i) tenants.set(i, wish.tenants[i]);
      auto labels = request.initLabels(static_cast<unsigned>(wish.labels.size()));
      for (unsigned i = 0; i < labels.size(); ++i) labels[i].setName(wish.labels[i]);
      request.setBeginsUnixMs(wish.begins_unix_ms);
      request.setDurationMs(wish.duration_ms);
    });
  }
  wire::Envelope unreserve(const std::string& name) {
    return coordinator_.ask([&](Message::Builder message) { message.setUnreserve(name); });
  }
  wire::Envelope list() {
    return coordinator_.ask([](Message::Builder message) { message.setReservationsRequest(); });
  }
  // "code: message" of a refusal.
  static std::string refusal(const wire::Envelope& answer) {
    if (!answer.message().isRefused()) return "not refused";
    const auto refused = answer.message().getRefused();
    return to_text(refused.getCode()) + ": " + to_text(refused.getMessage());
  }
  void become(Role role, const std::string& tenant = "") {
    coordinator_.requester = Requester{{role, "ada", "", tenant, role == Role::kWorker ? "a" : ""}, false};
  }

  SteppedCoordinator coordinator_;
};

TEST_F(Reservations, AreMadeListedAndRemoved) {
  const auto made = reserve({});
  ASSERT_TRUE(made.message().isReservations()) << refusal(made);
  ASSERT_EQ(made.message().getReservations().size(), 1u);
  const auto one = made.message().getReservations()[0];
  EXPECT_EQ(to_text(one.getName()), "talk");
  EXPECT_EQ(to_text(one.getTenants()[0]), "vision");
  EXPECT_EQ(one.getNodes().size(), 1u);
  EXPECT_EQ(one.getBeginsUnixMs(), kBegin.unix_ms);
  EXPECT_EQ(one.getEndsUnixMs(), kBegin.unix_ms + Millis(hours(1)).count());
  EXPECT_EQ(one.getToClear().size(), 0u);
  ASSERT_TRUE(
      reserve({.name = "later", .begins_unix_ms = kBegin.unix_ms + 60'000}).message().isReservations());
  const auto both = list();
  ASSERT_EQ(both.message().getReservations().size(), 2u);
  EXPECT_EQ(to_text(both.message().getReservations()[0].getName()), "later");
  EXPECT_FALSE(both.message().getReservations()[0].getBegun());
  EXPECT_TRUE(both.message().getReservations()[1].getBegun());
  EXPECT_TRUE(unreserve("later").message().isDone());
  EXPECT_EQ(list().message().getReservations().size(), 1u);
}

TEST_F(Reservations, AreThereAfterAKillAndOverWhenTheirTimeIs) {
  ASSERT_TRUE(reserve({}).message().isReservations());
  coordinator_.die();
  coordinator_.start();
  EXPECT_EQ(list().message().getReservations().size(), 1u);
  coordinator_.live(hours(1));
  EXPECT_EQ(list().message().getReservations().size(), 0u);
}

TEST_F(Reservations, BadInputIsRefusedWithWhatIsWrong) {
  const auto far = static_cast<std::uint64_t>(limits::kTimeLimitMax.count());
  struct Case {
    Wish wish;
    const char* refusal;
  };
  const std::vector<Case> cases{
      {{.name = ""}, "invalid: reserving nodes: '' is no name for a reservation"},
      {{.name = "a talk"}, "invalid: reserving nodes: 'a talk' is no name for a reservation"},
      {{.tenants = {}}, "invalid: reserving nodes: a reservation needs a tenant"},
      {{.tenants = {"vision", "no/name"}}, "invalid: reserving nodes: 'no/name' is no name for a tenant"},
      {{.nodes = 0}, "invalid: reserving nodes: a reservation needs a number of nodes, or labels"},
      {{.duration_ms = 0}, "invalid: reserving nodes: a reservation lasts from 1 ms to 1000 days"},
      {{.duration_ms = far + 1}, "invalid: reserving nodes: a reservation lasts from 1 ms to 1000 days"},
      {{.begins_unix_ms = kBegin.unix_ms - 120'000},
       "invalid: reserving nodes: a reservation begins between now and in 1000 days"},
      {{.begins_unix_ms = kBegin.unix_ms + limits::kTimeLimitMax.count() + 1},
       "invalid: reserving nodes: a reservation begins between now and in 1000 days"},
      {{.nodes = 3}, "conflict: reserving nodes: "},
      {{.nodes = 0, .labels = {"rack"}}, "conflict: reserving nodes: "},
  };
  for (const Case& each : cases) EXPECT_THAT(refusal(reserve(each.wish)), HasSubstr(each.refusal));
  EXPECT_EQ(list().message().getReservations().size(), 0u);
  ASSERT_TRUE(reserve({}).message().isReservations());
  EXPECT_THAT(refusal(reserve({})), HasSubstr("conflict: there is a reservation talk already"));
  EXPECT_THAT(refusal(unreserve("walk")), HasSubstr("not_found: there is no reservation walk"));
}

TEST_F(Reservations, OnlyOperatorsMakeAndRemoveThemWorkersDoNotEvenLook) {
  ASSERT_TRUE(reserve({}).message().isReservations());
  struct Case {
    Role role;
    const char* tenant;
    bool looks;
  };
  for (const Case& each : {Case{Role::kSubmitter, "vision", true}, Case{Role::kViewer, "", true},
                           Case{Role::kViewer, "speech", true}, Case{Role::kWorker, "", false}}) {
    become(each.role, each.tenant);
    EXPECT_THAT(refusal(reserve({.name = "mine"})), HasSubstr("denied: the key of ada is a "));
    EXPECT_THAT(refusal(unreserve("talk")), HasSubstr("denied: the key of ada is a "));
    EXPECT_EQ(list().message().isReservations(), each.looks);
  }
  become(Role::kOperator);
  EXPECT_TRUE(unreserve("talk").message().isDone());
}

}  // namespace
}  // namespace paddock::coordinator
