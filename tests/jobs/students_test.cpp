// Several students of one job: each is to the bit what it is alone, whatever becomes of the run and of the others.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <sstream>

#include "jobs/distill.h"
#include "jobs/model_checkpoint.h"
#include "jobs/pretrain.h"
#include "jobs/start_summary.h"
#include "outcome.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Killed {};
using Spoil = std::function<bool(std::int64_t data_step, const std::string& student)>;

class StudentsTest : public testing::Test {
 protected:
  // Of a teacher with a head of its own for patches.
  nlohmann::json options(const std::string& centering = "softmax") {
    const auto dir = at("teacher");
    if (!fs::exists(dir)) {
      auto first = tiny_options(data_);
      first["heads"]["separate"] = true;
      first["heads"]["ibot"] = {{"prototypes", 48}, {"hidden", 32}, {"bottleneck", 16}};
      first["schedule"]["steps"] = 4;
      first["run"]["heldout_every"] = 0;
      run(pretrain_plan(*spec::pretrain_table().parse(first)), dir);
    }
    auto options = two_students(data_, dir / "checkpoints" / "step-0000000004");
    options["ibot_head"] = {{"hidden", 24}, {"bottleneck", 16}};
    options["loss"]["centering"] = centering;
    options["run"]["health_every"] = 5;
    return options;
  }

  static TrainingPlan plan_of(const nlohmann::json& options) {
    const auto parsed = spec::distill_table().parse(options);
    if (!parsed)
      throw std::invalid_argument(parsed.error().front().path + " " + parsed.error().front().message);
    return distill_plan(*parsed);
  }

  // To the end, or until `killed_after` steps; gives its reports.
  std::vector<nlohmann::json> run(TrainingPlan plan, const fs::path& dir, std::int64_t killed_after = -1,
                                  const Spoil& spoil = {}) {
    model::OneRank ranks;
    const auto reports = at("reports.jsonl");
    const int descriptor = ::open(reports.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ReportChannel report(descriptor, true);
    TrainingHooks hooks;
    hooks.after_step = [killed_after](std::int64_t step) {
      if (step == killed_after) throw Killed{};
    };
    hooks.on_gradients = [&](std::int64_t data_step, const std::string& student, torch::Tensor& gradients) {
      if (spoil && spoil(data_step, student)) gradients[0] = std::numeric_limits<float>::quiet_NaN();
    };
    try {
      EXPECT_EQ(train(std::move(plan), dir, {}, ranks, report, hooks), TrainingEnd::kFinished);
    } catch (const Killed&) {
    }
    ::close(descriptor);
    return lines_of(reports);
  }

  fs::path at(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
  const fs::path data_ = write_dataset(folder_.path() / "dataset");
};

TEST_F(StudentsTest, AreEachToTheBitWhatTheyAreAlone) {
  for (const std::string centering : {"softmax", "sinkhorn_knopp"}) {
    SCOPED_TRACE(centering);
    const auto together = plan_of(options(centering));
    const auto dir = at("together-" + centering);
    run(together, dir);
    for (const std::string name : {"deep", "wide"}) {
      SCOPED_TRACE(name);
      const auto alone = at(name + "-" + centering);
      run(plan_of(spec::options_of_student(together.options, name)), alone);
      const auto ours = newest_checkpoint(dir / "students" / name), theirs = newest_checkpoint(alone);
      EXPECT_EQ(ours.state(), theirs.state());
      for (const char* file : {"student.safetensors", "teacher.safetensors"})
        EXPECT_TRUE(bytes_of(*ours.tensors(file)) == bytes_of(*theirs.tensors(file))) << file;
      const auto lines = lines_of(dir / "metrics.jsonl"), lines_alone = lines_of(alone / "metrics.jsonl");
      ASSERT_EQ(lines.size(), 12u);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        auto line = lines[i];
        line.update(lines[i]["students"][name]);
        line.erase("students");
        EXPECT_EQ(line, lines_alone[i]);
      }
      const auto held_out = lines_of(dir / "heldout.jsonl"),
                 held_out_alone = lines_of(alone / "heldout.jsonl");
      ASSERT_EQ(held_out.size(), 4u);
      for (std::size_t i = 0; i < held_out.size(); ++i)
        EXPECT_EQ(held_out[i]["students"][name]["loss"], held_out_alone[i]["loss"]);
    }
  }
}

TEST_F(StudentsTest, KilledAfterAnyStepAndResumedEndInTheSameBits) {
  const auto plan = plan_of(options());
  run(plan, at("undisturbed"));
  const auto outcomes = [](const fs::path& dir) {
    return outcome(dir) + outcome(dir / "students" / "deep") + outcome(dir / "students" / "wide");
  };
  const std::string wanted = outcomes(at("undisturbed"));
  for (const std::int64_t kill : {1, 6, 11, 12}) {  // 12: all is saved, and no student written yet
    const auto dir = at("killed-" + std::to_string(kill));
    run(plan, dir, kill);
    EXPECT_FALSE(fs::exists(dir / "students"));
    run(plan, dir);
    EXPECT_TRUE(outcomes(dir) == wanted) << "killed after step " << kill;
  }
}

// The check of the check: a resume that forgot something of one student must show.
TEST_F(StudentsTest, ResumingWithoutAnyOneItemOfOneOfThemEndsInOtherBits) {
  const auto plan = plan_of(options());
  run(plan, at("undisturbed"));
  storage::RealDisk disk;
  for (const std::string item :
       {"nothing", "wide.student.", "wide.first.", "deep.second.", "deep.teacher.", "center.", "updates"}) {
    const auto dir = at("without-" + item);
    run(plan, dir, 6);
    const auto checkpoint = newest_checkpoint(dir);
    storage::CheckpointContent content{4, checkpoint.info().fence, checkpoint.state(), {}};
    std::vector<std::byte> zeros(1 << 20);
    for (const auto& entry : fs::directory_iterator(checkpoint.info().path)) {
      const std::string file = entry.path().filename().string();
      if (!file.ends_with(".safetensors")) continue;
      auto tensors = value_or_throw(checkpoint.tensors(file), "reading");
      for (auto& tensor : tensors) {
        if (tensor.name.starts_with(item)) tensor.bytes = {zeros.data(), tensor.bytes.size()};
      }
      content.files.emplace_back(file, std::move(tensors));
    }
    EXPECT_EQ(content.files.size(), 7u);  // three a student, and the centers
    if (item == "updates") content.state["students"]["wide"]["updates"] = 0;
    value_or_throw(storage::write_checkpoint(disk, dir, content), "writing");
    run(plan, dir);
    EXPECT_EQ(outcome(dir) == outcome(at("undisturbed")), item == "nothing") << item << " was lost";
  }
}

TEST_F(StudentsTest, ABadStepOfOneIsNoStepOfThatOneAlone) {
  const auto plan = plan_of(options());
  run(plan, at("undisturbed"));
  const auto dir = at("spoilt");
  run(plan, dir, -1, [](std::int64_t data_step, const std::string& student) {
    return student == "wide" && data_step >= 6 && data_step < 9;
  });
  const auto lines = lines_of(dir / "metrics.jsonl"),
             undisturbed = lines_of(at("undisturbed") / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 12u);
  for (std::size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i]["students"]["deep"], undisturbed[i]["students"]["deep"]) << lines[i];
  EXPECT_TRUE(lines[6]["students"]["wide"]["grad_norm"].is_null());
  EXPECT_EQ(lines.back()["students"]["wide"]["skipped"], 3);
  EXPECT_EQ(lines.back()["students"]["deep"]["skipped"], 0);
  const auto tensors_of = [](const fs::path& run, const char* name) {
    return bytes_of(newest_checkpoint(run / "students" / name).tensors());
  };
  EXPECT_TRUE(tensors_of(dir, "deep") == tensors_of(at("undisturbed"), "deep"));
  EXPECT_FALSE(tensors_of(dir, "wide") == tensors_of(at("undisturbed"), "wide"));
  EXPECT_EQ(newest_checkpoint(dir).state()["students"]["wide"]["skipped"], 3);
}

TEST_F(StudentsTest, TenBadStepsOfOneTakeTheWholeRunBackAlsoWhenKilled) {
  auto with = options();
  with["schedule"]["steps"] = 20;
  const auto plan = plan_of(with);
  const Spoil spoil = [](std::int64_t data_step, const std::string& student) {
    return student == "deep" && data_step >= 6 && data_step < 16;
  };
  run(plan, at("undisturbed"), -1, spoil);
  EXPECT_THAT(
      text_of_file(at("undisturbed") / "events.jsonl"),
      HasSubstr("step 16: no finite loss or gradient of student deep for 10 steps in a row: went back to "
                "step 4"));
  // While one learns nothing no checkpoint pushes out a good one.
  EXPECT_EQ(lines_of(at("undisturbed") / "metrics.jsonl").size(), 20u);
  run(plan, at("killed"), 11, spoil);
  run(plan, at("killed"), 18, spoil);
  run(plan, at("killed"), -1, spoil);
  EXPECT_TRUE(outcome(at("killed")) == outcome(at("undisturbed")));
}

TEST_F(StudentsTest, EachIsReportedAndLoadsLikeAnyCheckpoint) {
  const auto plan = plan_of(options());
  const auto dir = at("run");
  const auto reports = run(plan, dir);
  std::map<std::string, nlohmann::json> artifacts;
  nlohmann::json progress;
  for (const auto& report : reports) {
    if (report.contains("artifact")) artifacts[report["artifact"]["name"]] = report["artifact"];
    if (report.contains("progress")) progress = report["progress"];
  }
  ASSERT_EQ(artifacts.size(), 3u);
  EXPECT_EQ(artifacts.at("run")["path"], dir.string());
  const std::string wide = artifacts.at("checkpoint-wide")["path"];
  EXPECT_EQ(wide, (dir / "students" / "wide" / "checkpoints" / "step-0000000012").string());
  const auto last = lines_of(dir / "metrics.jsonl").back();
  EXPECT_EQ(progress["loss_of"], "mean of 2 students");
  EXPECT_DOUBLE_EQ(
      progress["loss"],
      (last["students"]["wide"]["loss"].get<double>() + last["students"]["deep"]["loss"].get<double>()) / 2);
  const auto loaded = load_backbone(wide);
  EXPECT_EQ(loaded.network->options().embed_dim, 24);
  EXPECT_EQ(loaded.hash, artifacts.at("checkpoint-wide")["hash"]);
  EXPECT_EQ(load_networks(artifacts.at("checkpoint-deep")["path"], "student").options.dino_head.hidden, 32);
  try {
    load_backbone(newest_checkpoint(dir).info().path.string());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("is that of a run of several students; take one of theirs"));
  }
  const auto health = lines_of(dir / "health.jsonl");
  ASSERT_EQ(health.size(), 2u);
  EXPECT_NE(health[0]["students"]["wide"]["feature_rank"], health[0]["students"]["deep"]["feature_rank"]);
  EXPECT_GT(health[0]["target_entropy"], 0);

  // Once more: what is there stays, what is damaged is made anew.
  std::ofstream(fs::path(wide) / "teacher.safetensors", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(2000)
      .put('x');
  EXPECT_THROW(load_backbone(wide), std::runtime_error);
  std::map<std::string, nlohmann::json> again;
  for (const auto& report : run(plan, dir)) {
    if (report.contains("artifact")) again[report["artifact"]["name"]] = report["artifact"];
  }
  EXPECT_EQ(again, artifacts);
  EXPECT_EQ(load_backbone(wide).hash, loaded.hash);
}

TEST_F(StudentsTest, AreRefusedByNameWhenTheyDoNotFitTheTeacher) {
  const auto problem_of = [&](const nlohmann::json& change) -> std::string {
    auto with = options();
    for (const char* name : {"wide", "deep"}) with["students"][name].merge_patch(change);
    try {
      plan_of(with);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(problem_of({{"patch_size", 4}}),
            "students.deep.patch_size is 4, must be the teacher's 8: they are compared patch by patch");
  EXPECT_EQ(problem_of({{"channels", 1}}),
            "students.deep.channels is 1, must be the teacher's 3: they see the same pictures");
  EXPECT_THAT(problem_of({{"pixel_mean", {0, 0, 0}}, {"pixel_std", {1, 1, 1}}}),
              HasSubstr("students.deep.pixel_mean and students.deep.pixel_std are not the teacher's"));
}

TEST_F(StudentsTest, AreEachInTheSummaryAtTheStart) {
  const std::string text = start_summary(plan_of(options()), 50, 1, torch::kFloat32);
  EXPECT_THAT(text, Not(HasSubstr("at least")));
  EXPECT_THAT(text, HasSubstr("networks  deep: backbone "));
  EXPECT_THAT(text, HasSubstr("; wide: backbone "));
  EXPECT_THAT(text, HasSubstr("; together: backbone "));
}

}  // namespace
}  // namespace paddock::jobs
