// What each role may ask, kind by kind: the table once more, as an operator would say it.
#include "coordinator/permissions.h"

#include <gtest/gtest.h>

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
