// What a job may ask of nodes besides room: kinds of GPU, labels, distance, racks.
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

std::vector<std::string> nodes_of(const Scenario& story, GraphId graph, const char* name) {
  std::vector<std::string> nodes;
  for (const Rank& rank : story.newest(graph, name).ranks) nodes.push_back(rank.node.value);
  return nodes;
}

TEST(Constraints, GpusAreOfTheKindThatIsAskedFor) {
  Scenario story;
  Offer offer{8, 1u << 30, {}, {29'500, 29'501, 29'502}, {}};
  offer.gpus = {Gpu{"old", "NVIDIA A100", 40ull << 30}, Gpu{"new", "NVIDIA H100", 80ull << 30}};
  story.join("a", offer);
  const GraphId graph = story.submit({job("x").gpus(1).gpu_kind("H100"), job("y").gpus(1).gpu_kind("H100"),
                                      job("z").gpus(1).gpu_memory(90ull << 30)});
  EXPECT_EQ(story.newest(graph, "x").ranks[0].gpus, std::vector<std::string>{"new"});
  EXPECT_EQ(
      story.why(graph, "y"),
      "waits for a node with 1 free core and 1 free GPU of kind H100: a has 0 of 1 GPU of that kind free");
  EXPECT_EQ(story.state(graph, "z"), "queued");
  story.end_all(graph, "x", 0);
  EXPECT_EQ(story.newest(graph, "y").ranks[0].gpus, std::vector<std::string>{"new"});
}

TEST(Constraints, LabelsAreNeededOrAvoided) {
  Scenario story;
  story.join("a", Offer{8, 1u << 30, {}, {29'500}, {{"zone", "north"}}});
  story.join("b", Offer{8, 1u << 30, {}, {29'500}, {{"zone", "south"}, {"old", "yes"}}});
  const GraphId graph = story.submit(
      {job("x").label("zone", "south"), job("y").avoid("old", ""), job("z").label("zone", "west")});
  EXPECT_EQ(nodes_of(story, graph, "x"), std::vector<std::string>{"b"});
  EXPECT_EQ(nodes_of(story, graph, "y"), std::vector<std::string>{"a"});
  EXPECT_EQ(story.why(graph, "z"),
            "waits for a node with 1 free core and label zone=west: a has other labels, b has other labels; "
            "it would "
            "not fit even if nothing else ran");
}

TEST(Constraints, JobsThatAreToBeKeptApartShareNoNode) {
  Scenario story;
  story.join("a", 8);
  story.join("b", 8);
  const GraphId graph =
      story.submit({job("x").apart("judges"), job("y").apart("judges"), job("z").apart("judges")});
  EXPECT_NE(nodes_of(story, graph, "x"), nodes_of(story, graph, "y"));
  EXPECT_EQ(story.state(graph, "z"), "queued");
  const GraphId other = story.submit({job("x").apart("judges")});  // apart within a graph only
  EXPECT_EQ(story.state(other, "x"), "running");
  story.end_all(graph, "y", 0);
  EXPECT_EQ(story.state(graph, "z"), "running");
}

TEST(Constraints, AGangIsSpreadOverAsFewRacksAsPossible) {
  Scenario story;
  const auto node = [&](const char* name, const char* rack, std::uint32_t cpus) {
    story.join(name, Offer{cpus, 1u << 30, {}, {29'500, 29'501}, {{"rack", rack}}});
  };
  node("a", "r1", 2);
  node("b", "r2", 4);
  node("c", "r2", 4);
  node("d", "r3", 4);
  node("e", "r3", 4);
  node("f", "r3", 4);
  const GraphId graph = story.submit({job("x").gang(2, 2), job("y").gang(3, 2)});
  EXPECT_EQ(nodes_of(story, graph, "x"), (std::vector<std::string>{"b", "b", "c", "c"}));
  EXPECT_EQ(nodes_of(story, graph, "y"), (std::vector<std::string>{"d", "d", "e", "e", "f", "f"}));
  // No rack has enough: the fullest first, and neighbours keep neighbouring ranks.
  const GraphId wide = story.submit({job("z").gang(4, 2)});
  EXPECT_EQ(nodes_of(story, wide, "z"), (std::vector<std::string>{"b", "b", "d", "d", "e", "e", "f", "f"}));
}

}  // namespace
}  // namespace paddock::scheduler
