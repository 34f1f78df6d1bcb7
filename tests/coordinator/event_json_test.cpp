#include "coordinator/event_json.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

namespace paddock::coordinator {
namespace {

using namespace scheduler;

std::vector<What> one_of_each() {
  JobRequest request{JobName{"train"},
                     "pretrain",
                     {JobName{"data"}},
                     Request{2, 4, 1, 8, 1ull << 40},
                     RetryRule{3, Millis(30'000), 1'500},
                     Millis(10'000),
                     R"({"with":{"steps":600}})"};
  request.on = {{JobName{"data"}, On::kAlways}};
  request.time_limit = Millis(7'200'000);
  request.is_preemptible = true;
  request.retry.edit().not_on = {"exit:3", "signal"};
  request.resources.edit().nodes_min = 1;
  request.resources.edit().gpu_model = "H100";
  request.resources.edit().gpu_memory_bytes = 80ull << 30;
  request.resources.edit().labels = {{"zone", "north"}};
  request.resources.edit().avoid = {{"old", ""}};
  request.resources.edit().apart = "judges";
  const JobKey job{GraphId{3}, JobName{"train"}};
  Launch launch{{"echo", "größe"}, R"({"steps":600})", "/store/stages/x", {{"A", "b"}}, "0123"};
  GraphSubmitted submitted{"first-light", -5, "token", {request}, "vision"};
  submitted.retry_of = GraphId{2};
  submitted.done = {{JobName{"data"}, {{"dataset", Artifact{"/store/d", "hash"}}}}};
  return {
      submitted,
      GraphCancelled{GraphId{3}, "cancelled by \"ada\"\n"},
      JobPrepared{job, launch, true, {{"checkpoint", Artifact{"/store/c", "hash"}}}},
      JobRefused{job, "with.steps is missing"},
      NodeJoined{
          NodeId{"a"}, std::numeric_limits<std::uint64_t>::max(), "10.0.0.1",
          Offer{8, 1ull << 35, {Gpu{"GPU-1", "H100", 80ull << 30}}, {29'500, 65'535}, {{"rack", "r1"}}},
          Instant{123}},
      NodeSeen{NodeId{"a"}, 7, Instant{5}},
      NodeLeft{NodeId{"a"}, 7},
      NodeLost{NodeId{"a"}, 7},
      BackoffEnded{job},
      RankStarted{Fence{9}, RankId{3}, 4'711},
      RankEnded{Fence{9}, RankId{3}, -1, 9, "killed by signal 9", true, true},
      FailureReported{Fence{9}, RankId{3}, "the loss is NaN"},
      ArtifactRecorded{Fence{9}, "dataset", Artifact{"/store/d", "hash"}},
      CheckpointRecorded{Fence{9}, 100, "/store/c", "hash", 1ull << 40},
      CoordinatorStarted{Instant{77}, 4},
      JobSkipped{job, "its condition does not hold"},
      TimeLimitReached{Fence{9}},
      GraphsArchived{{GraphId{3}, GraphId{5}}},
      NodeDrained{NodeId{"a"}, "new disks", Instant{9'000}},
      NodeResumed{NodeId{"a"}},
      CordonEnded{NodeId{"a"}},
      TenantSet{"vision", 2'000, Usage{64, 8, 1ull << 40}},
      GpuFaulted{NodeId{"a"}, 7, "GPU-1", "Xid 79 (the GPU has fallen off the bus)"},
      ScheduleSet{submitted, {"0 2 * * *", "Europe/Berlin", Missed::kAll, Overlap::kReplace, Millis(60'000)}},
      ScheduleDue{"nightly",
                  WallTime{1'764'000'000'123},
                  {WallTime{1'763'999'880'000}, WallTime{1'763'999'940'000}},
                  3,
                  WallTime{1'763'999'820'000},
                  "no coordinator was there"},
      ScheduleSteered{"nightly", Steer::kRemove},
      ScheduleRunAsked{"nightly", "token"},
      ReservationSet{"talk", {"vision", "audio"}, 4, {{"zone", "north"}}, WallTime{1'000}, WallTime{2'000}},
      ReservationRemoved{"talk"},
      ReservationTurned{"talk", true},
      RestDue{}};
}

TEST(EventJson, EveryTypeOfEventComesBackTheSame) {
  const auto events = one_of_each();
  ASSERT_EQ(events.size(), std::variant_size_v<What>);
  for (std::size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].index(), i) << "one of each, in order";
    const Event event{Moment{Instant{42}, WallTime{1'700'000'000'000}}, events[i]};
    const auto back = to_event(to_record(event));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(*back == event) << to_record(event);
  }
}

// Journals are read by people and by other programs, and the order of fields is part of what they see.
TEST(EventJson, RecordsAreByteForByteAsTheyWere) {
  std::ifstream golden(std::string(PADDOCK_SOURCE_DIR) + "/tests/golden/journals/records.jsonl");
  for (const What& what : one_of_each()) {
    std::string line;
    std::getline(golden, line);
    EXPECT_EQ(to_record(Event{Moment{Instant{42}, WallTime{1'700'000'000'000}}, what}), line);
  }
}

TEST(EventJson, AnyTextComesBackTheSameAndWhatIsNoTextIsReplaced) {
  const auto back = [](const std::string& text) {
    const auto event = to_event(to_record(Event{{}, FailureReported{Fence{9}, RankId{0}, text}}));
    return event ? std::get<FailureReported>(event->what).message : event.error().message;
  };
  for (const std::string& text : {std::string("say \"no\"\n\t\\ /"), std::string("für 7 €"),
                                  std::string("a\0b", 3), std::string("\x01\x1f\x7f"), std::string()})
    EXPECT_EQ(back(text), text);
  EXPECT_EQ(back("a\xff"), "a\xEF\xBF\xBD");
}

TEST(EventJson, FieldsOfANewerVersionArePassedOver) {
  const auto event =
      to_event(R"({"type":"node_lost","at_ms":1,"wall_ms":2,"node":"a","incarnation":7,"why":"new"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<NodeLost>(event->what), (NodeLost{NodeId{"a"}, 7}));
}

TEST(EventJson, AGraphOfAnOlderVersionIsOfTheDefaultTenant) {
  const auto event = to_event(
      R"({"type":"graph_submitted","at_ms":1,"wall_ms":2,"name":"g","priority":0,"token":"t","jobs":[]})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<GraphSubmitted>(event->what).tenant, "default");
}

TEST(EventJson, ARecordOfTheFirstVersionIsReplayedByItsRules) {
  const auto event = to_event(R"({"type":"coordinator_started","at_ms":1,"wall_ms":2,"lease_until":77})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(std::get<CoordinatorStarted>(event->what), (CoordinatorStarted{Instant{77}, 1}));
}

TEST(EventJson, ADamagedRecordIsCorruptAndSaysWhat) {
  const auto refusal = [](std::string_view record) {
    const auto event = to_event(record);
    return event ? "accepted" : event.error().message;
  };
  EXPECT_EQ(refusal("{"), "the record is not JSON");
  EXPECT_EQ(refusal("[]"), "the record is not an object");
  EXPECT_EQ(refusal(R"({"type":"node_lost","at_ms":1,"wall_ms":2,"node":"a"})"),
            "field incarnation is missing");
  EXPECT_EQ(refusal(R"({"type":"node_lost","at_ms":1,"wall_ms":2,"node":1,"incarnation":7})"),
            "field node has the wrong type");
  EXPECT_EQ(refusal(R"({"type":"node_lost","at_ms":1,"wall_ms":2,"node":"a","incarnation":-7})"),
            "field incarnation has the wrong type");
  EXPECT_EQ(refusal(R"({"type":"node_upgraded","at_ms":1,"wall_ms":2})"),
            "event type 'node_upgraded' is not known; a newer version wrote it");
}

TEST(EventJson, ThatOthersOfItsTurnFollowIsRecordedWhereItIsSo) {
  Event event{Moment{Instant{1}, WallTime{2}}, scheduler::NodeLost{NodeId{"a"}, 7}};
  EXPECT_EQ(to_record(event).find("followed"), std::string::npos);
  EXPECT_FALSE(to_event(to_record(event))->is_followed);
  event.is_followed = true;
  EXPECT_EQ(*to_event(to_record(event)), event);
}

}  // namespace
}  // namespace paddock::coordinator
