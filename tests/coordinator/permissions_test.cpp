// What each role may ask, kind by kind: the table once more, as an operator would say it.
#include "coordinator/permissions.h"

#include <capnp/schema.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace paddock::coordinator {
namespace {

using wire::Message;
using wire::Role;

Reach reach(Role role, Message::Which kind, const std::string& tenant = "") {
  return reach_of(Requester{{role, "ada", "", tenant, ""}, false}, kind);
}

const std::vector<Message::Which> kLooking{Message::PLAN, Message::STATUS_REQUEST, Message::LOG_REQUEST,
                                           Message::CHECKPOINTS_REQUEST, Message::SCHEDULES_REQUEST};
const std::vector<Message::Which> kChanging{Message::SUBMIT, Message::CANCEL, Message::STEER_SCHEDULE};
const std::vector<Message::Which> kOfWorkers{Message::JOIN, Message::HEARTBEAT, Message::REPORTS,
                                             Message::LEAVE};

struct Reaches {
  Reach operators, submitters, workers, viewers, viewers_of_a_tenant;
  bool operator==(const Reaches&) const = default;
};
constexpr Reach kNone = Reach::kNone;
constexpr Reach kOwn = Reach::kOwn;
constexpr Reach kAll = Reach::kAll;
constexpr Reaches kShown{kAll, kOwn, kNone, kAll, kOwn};
constexpr Reaches kShownToAll{kAll, kAll, kNone, kAll, kAll};
constexpr Reaches kChanged{kAll, kOwn, kNone, kNone, kNone};
constexpr Reaches kOperators{kAll, kNone, kNone, kNone, kNone};
constexpr Reaches kSaidByWorkers{kNone, kNone, kOwn, kNone, kNone};

// Every kind of message that somebody sends to the coordinator, by its name in wire/protocol.capnp.
const std::map<std::string, Reaches> kAsked{
    {"submit", kChanged},
    {"plan", kShown},
    {"statusRequest", kShown},
    {"logRequest", kShown},
    {"cancel", kChanged},
    {"nodesRequest", kShownToAll},
    {"checkpointsRequest", kShown},
    {"why", kShown},
    {"retry", kChanged},
    {"drain", kOperators},
    {"resume", kOperators},
    {"tenantsRequest", kOperators},
    {"setTenant", kOperators},
    {"schedulesRequest", kShown},
    {"steerSchedule", kChanged},
    {"reserve", kOperators},
    {"unreserve", kOperators},
    {"reservationsRequest", kShownToAll},
    {"join", kSaidByWorkers},
    {"heartbeat", kSaidByWorkers},
    {"reports", kSaidByWorkers},
    {"leave", kSaidByWorkers},
};
// What the coordinator itself says; whoever sends it is told that it is not taken.
const std::vector<std::string> kAnswers{
    "refused",    "submitted",   "planned", "status",       "logChunk",    "done",
    "nodes",      "checkpoints", "lease",   "acknowledged", "reason",      "startRanks",
    "endAttempt", "logsTaken",   "tenants", "schedules",    "reservations"};

// A kind that is added to the protocol has to be put into one of the two lists above, and into docs/security.md.
TEST(Permissions, EveryKindOfTheProtocolIsStatedForEveryRole) {
  std::size_t stated = 0;
  for (const auto field : capnp::Schema::from<Message>().getUnionFields()) {
    const std::string name = field.getProto().getName().cStr();
    const auto kind = static_cast<Message::Which>(field.getProto().getDiscriminantValue());
    const bool is_answer = std::ranges::find(kAnswers, name) != kAnswers.end();
    const auto asked = kAsked.find(name);
    ASSERT_NE(is_answer, asked != kAsked.end()) << name << ": who may ask that?";
    const Reaches wanted = is_answer ? kOperators : asked->second;
    const Reaches found{reach(Role::kOperator, kind), reach(Role::kSubmitter, kind, "vision"),
                        reach(Role::kWorker, kind), reach(Role::kViewer, kind),
                        reach(Role::kViewer, kind, "vision")};
    EXPECT_EQ(found, wanted) << name;
    EXPECT_EQ(is_stated(kind), !is_answer) << name << " has no row in coordinator/permissions.cpp";
    ++stated;
  }
  EXPECT_EQ(stated, kAsked.size() + kAnswers.size()) << "a kind is named that the protocol does not have";
}

TEST(Permissions, AnOperatorMayAskEverythingButSpeakForNoNode) {
  for (const auto kind : kLooking) EXPECT_EQ(reach(Role::kOperator, kind), Reach::kAll);
  for (const auto kind : kChanging) EXPECT_EQ(reach(Role::kOperator, kind), Reach::kAll);
  for (const auto kind : kOfWorkers) EXPECT_EQ(reach(Role::kOperator, kind), Reach::kNone);
}

TEST(Permissions, ASubmitterReachesItsTenantsGraphs) {
  for (const auto kind : kLooking) EXPECT_EQ(reach(Role::kSubmitter, kind, "vision"), Reach::kOwn);
  for (const auto kind : kChanging) EXPECT_EQ(reach(Role::kSubmitter, kind, "vision"), Reach::kOwn);
  for (const auto kind : kOfWorkers) EXPECT_EQ(reach(Role::kSubmitter, kind, "vision"), Reach::kNone);
  const Requester ada{{Role::kSubmitter, "ada", "", "vision", ""}, false};
  EXPECT_TRUE(reaches(ada, Reach::kOwn, "vision"));
  EXPECT_FALSE(reaches(ada, Reach::kOwn, "speech"));
}

TEST(Permissions, AViewerLooksAndChangesNothing) {
  for (const auto kind : kLooking) EXPECT_EQ(reach(Role::kViewer, kind), Reach::kAll);
  for (const auto kind : kLooking) EXPECT_EQ(reach(Role::kViewer, kind, "vision"), Reach::kOwn);
  for (const auto kind : kChanging) EXPECT_EQ(reach(Role::kViewer, kind), Reach::kNone);
  for (const auto kind : kOfWorkers) EXPECT_EQ(reach(Role::kViewer, kind), Reach::kNone);
  EXPECT_EQ(reach(Role::kViewer, Message::NODES_REQUEST, "vision"), Reach::kAll);
}

TEST(Permissions, AWorkerSpeaksForItsNodeAndAsksNothing) {
  for (const auto kind : kOfWorkers) EXPECT_EQ(reach(Role::kWorker, kind), Reach::kOwn);
  for (const auto kind : kLooking) EXPECT_EQ(reach(Role::kWorker, kind), Reach::kNone);
  for (const auto kind : kChanging) EXPECT_EQ(reach(Role::kWorker, kind), Reach::kNone);
}

TEST(Permissions, AKindThatIsNotInTheTableIsForOperators) {
  const auto unknown = static_cast<Message::Which>(60'000);
  EXPECT_EQ(reach(Role::kOperator, unknown), Reach::kAll);
  for (const Role role : {Role::kSubmitter, Role::kWorker, Role::kViewer})
    EXPECT_EQ(reach(role, unknown), Reach::kNone);
}

TEST(Permissions, OnAPlainSocketWhoeverReachesItMayDoEverything) {
  const Requester anybody{{}, true};
  EXPECT_EQ(reach_of(anybody, Message::SUBMIT), Reach::kAll);
  EXPECT_EQ(reach_of(anybody, Message::JOIN), Reach::kAll);
}

}  // namespace
}  // namespace paddock::coordinator
