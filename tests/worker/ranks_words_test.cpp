// What comes from a rank and its files: report lines, the log, the environment it is given.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "tests/temporary_folder.h"
#include "worker/attempt_folders.h"
#include "worker/guard_launch.h"
#include "worker/launch.h"
#include "worker/log_tail.h"
#include "worker/report_pipe.h"

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;

TEST(ReportLine, EveryKindOfTheRankProtocolIsUnderstood) {
  EXPECT_EQ(std::get<Progress>(*parse_report_line(R"({"progress": {"step": 3}})")).json, R"({"step":3})");
  const auto saved = std::get<Checkpoint>(
      *parse_report_line(R"({"checkpoint": {"step": 100, "path": "/p", "hash": "h", "bytes": 12}})"));
  EXPECT_EQ(saved.step, 100);
  EXPECT_EQ(saved.bytes, 12u);
  EXPECT_EQ(
      std::get<Artifact>(*parse_report_line(R"({"artifact": {"name": "d", "path": "/p", "hash": "h"}})"))
          .path,
      "/p");
  EXPECT_EQ(
      std::get<Failure>(*parse_report_line(R"({"failure": {"code": "invalid", "message": "why"}})")).message,
      "why");
}

TEST(ReportLine, WhatIsNoReportIsRefused) {
  for (const char* line :
       {"", "hello", "[]", "{}", "{\"progress\": 3}", "{\"progress\": {}, \"failure\": {}}",
        "{\"unheard\": {}}", "{\"artifact\": {\"name\": \"d\"}}", "{\"progress\": {\"a\": \"\xff\"}}",
        "{\"checkpoint\": {\"step\": \"x\", \"path\": \"/p\", \"hash\": \"h\"}}"}) {
    EXPECT_FALSE(parse_report_line(line)) << line;
  }
}

TEST(ReportPipe, GoodLinesComeThroughBetweenBadAndEndlessOnes) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  ReportPipe pipe(ends[0]);
  std::vector<Saying> all;
  const auto write_text = [&](const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t length = write(ends[1], text.data() + at, text.size() - at);
      if (length > 0) at += static_cast<std::size_t>(length);
      for (Saying& saying : pipe.read()) all.push_back(std::move(saying));
    }
  };
  write_text("nonsense\n");
  write_text(std::string(3 * limits::kReportLineBytesMax, 'x') + "\n");
  write_text("{\"artifact\": {\"name\": \"d\", \"path\": \"/p\", ");
  write_text("\"hash\": \"h\"}}\n{\"failure\": {\"message\": \"no newline at the end\"}}");
  close(ends[1]);
  for (Saying& saying : pipe.read_rest()) all.push_back(std::move(saying));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Artifact>(all[0]));
  EXPECT_TRUE(std::holds_alternative<Failure>(all[1]));
  EXPECT_EQ(pipe.lines_bad(), 1u);
  EXPECT_EQ(pipe.lines_too_long(), 1u);
  EXPECT_EQ(pipe.descriptor(), -1);
}

TEST(LogTail, FollowsAGrowingFileInPiecesUpToItsLastByteAndCanStartAgain) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "rank-0.log";
  LogTail tail(path);
  EXPECT_FALSE(tail.next());  // there is no file yet
  const std::string whole(limits::kLogChunkBytesMax + 10, 'a');
  std::ofstream(path) << whole;
  for (int round = 0; round < 2; ++round) {
    std::string seen;
    while (const auto piece = tail.next()) {
      EXPECT_EQ(piece->offset, seen.size());
      EXPECT_FALSE(piece->is_last);
      seen += piece->bytes;
      tail.passed(*piece);
    }
    EXPECT_EQ(seen, whole);
    tail.go_to(0);
  }
  tail.finish();
  std::size_t bytes = 0;
  while (const auto piece = tail.next()) {
    bytes += piece->bytes.size();
    EXPECT_EQ(piece->is_last, bytes == whole.size());
    tail.passed(*piece);
  }
  EXPECT_TRUE(tail.is_over());
}

TEST(Launch, ARankGetsTheEnvironmentThatTheRankProtocolPromises) {
  const TemporaryFolder folder;
  StartOrder order;
  order.job = JobKey{GraphId(3), JobName("pretrain")};
  order.attempt = 2;
  order.fence = Fence(17);
  order.kind = "pretrain";
  order.spec = R"({"steps": 5})";
  order.directory = (folder.path() / "store" / "job").string();
  order.world_size = 4;
  order.master_address = "10.0.0.1";
  order.master_port = 4321;
  order.environment = {{"MINE", "1"}, {"RANK", "99"}};
  order.ranks = {{RankId(2), 0, 3, {"GPU-a"}}, {RankId(3), 1, 3, {}}};
  AttemptFolders folders(folder.path() / "state", 100);
  const auto launch =
      prepare_launch(order, 1, folders, "/opt/paddock-run", {"PATH=/bin", "NOTIFY_SOCKET=/run/x", "MINE=0"});
  ASSERT_TRUE(launch) << launch.error().message;
  const std::string spec = (folder.path() / "state/attempts/17/spec.json").string();
  EXPECT_EQ(launch->command, (std::vector<std::string>{"/opt/paddock-run", "pretrain", "--spec", spec,
                                                       "--dir", order.directory}));
  const std::vector<std::string> expected = {"CUDA_VISIBLE_DEVICES=",
                                             "LOCAL_RANK=1",
                                             "LOCAL_WORLD_SIZE=2",
                                             "MASTER_ADDR=10.0.0.1",
                                             "MASTER_PORT=4321",
                                             "MINE=1",
                                             "OMP_NUM_THREADS=3",
                                             "PADDOCK_ATTEMPT=2",
                                             "PADDOCK_FENCE=17",
                                             "PADDOCK_JOB_DIR=" + order.directory,
                                             "PADDOCK_SPEC=" + spec,
                                             "PATH=/bin",
                                             "RANK=3",
                                             "WORLD_SIZE=4"};
  EXPECT_EQ(launch->environment, expected);
  EXPECT_TRUE(fs::is_directory(order.directory));
  std::string text;
  std::getline(std::ifstream(spec), text);
  EXPECT_EQ(text, order.spec);
}

TEST(AttemptFolders, KeepsThoseThatLiveAndTheLastThatEnded) {
  const TemporaryFolder folder;
  for (const std::uint64_t fence : {1u, 2u, 3u, 10u, 11u})
    fs::create_directories(attempt_folder(folder.path(), Fence(fence)));
  const auto is_there = [&](std::uint64_t fence) {
    return fs::exists(attempt_folder(folder.path(), Fence(fence)));
  };
  AttemptFolders folders(folder.path(), 3);  // all five are of an earlier run
  EXPECT_FALSE(is_there(1) || is_there(2));
  EXPECT_TRUE(is_there(3) && is_there(10) && is_there(11));
  ASSERT_TRUE(folders.open(Fence(5), RankId(0)));
  ASSERT_TRUE(folders.open(Fence(12), RankId(0)));
  folders.ended(Fence(12));
  ASSERT_TRUE(folders.open(Fence(13), RankId(0)));
  EXPECT_FALSE(is_there(3));
  EXPECT_TRUE(is_there(5) && is_there(10) && is_there(11) && is_there(12) && is_there(13));  // 5 lives
}

TEST(AttemptFolders, ANewAttemptFindsNothingOfTheOneWhoseFolderItGets) {
  const TemporaryFolder folder;
  AttemptFolders folders(folder.path(), 1);
  for (const std::uint64_t fence : {1u, 2u}) {
    for (const std::uint32_t rank : {0u, 1u}) {
      const fs::path own = *folders.open(Fence(fence), RankId(rank));
      std::ofstream(own / log_name(RankId(rank))) << "of " << fence;
    }
    folders.ended(Fence(fence));
  }
  const fs::path own = *folders.open(Fence(3), RankId(1));
  EXPECT_EQ(own, attempt_folder(folder.path(), Fence(3)));
  EXPECT_FALSE(fs::exists(attempt_folder(folder.path(), Fence(1))));
  EXPECT_EQ(fs::file_size(own / "rank-1.log"), 0u);
  EXPECT_FALSE(fs::exists(own / "rank-0.log"));
  EXPECT_TRUE(fs::exists(attempt_folder(folder.path(), Fence(2)) / "rank-1.log"));
}

TEST(GuardLaunch, ArrivesAsItWasSentAndInPiecesNotAtAll) {
  const GuardLaunch launch{
      "/log", "/job", {"/cgroup/a", "/cgroup/b"}, 77, {"sh", "-c", ""}, {"A=1", "B="}, std::nullopt, true};
  const std::string bytes = to_bytes(launch);
  EXPECT_EQ(to_launch(bytes), launch);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(to_launch(std::string_view(bytes).substr(0, length))) << length;
  EXPECT_FALSE(to_launch(bytes + "x"));
  EXPECT_FALSE(to_launch(to_bytes(GuardLaunch{})));  // no command
}

}  // namespace
}  // namespace paddock::worker
