// jobs/spec/distill.h – what a `distill` job may be asked: a smaller student raised by a finished, frozen teacher.
// Source: DINOv2 (arXiv 2304.07193) §5: the pretraining loop without masks and stochastic depth, the iBOT loss over all
// patches of both global crops; the moving average of the student is the result. Patch size, crops and numbers of
// prototypes must fit the teacher's; the number of prototypes is taken from it. `student` is one network, `students` are
// several by name: all learn from the same pass of the teacher over the same crops, each as it would alone.
// Artifacts: `checkpoint`, `run`, as pretrain; with `students` a `checkpoint-NAME` for each and `run`.
#pragma once

#include <map>

#include "jobs/spec/training.h"

namespace paddock::spec {

// Of a distillation: more would have to share a device's memory.
inline constexpr std::size_t kStudentsMax = 16;

// A network that learns, with its heads; their prototypes are the teacher's, whatever is given.
struct StudentSpec {
  BackboneSpec backbone;
  HeadSpec dino_head;
  HeadSpec ibot_head;
};

struct DistillOptions {
  std::string data;  // what is learnt from; these three as pretrain
  std::string data_test;
  double heldout_fraction = 0;
  std::string teacher;  // checkpoint folder of a pretraining run
  std::int64_t batch_size = 64;
  std::int64_t shards = 0;
  std::int64_t seed = 0;
  BackboneSpec student;
  std::map<std::string, StudentSpec>
      students;  // in place of student; dino_head and ibot_head lie below theirs
  CropsSpec crops;
  AugmentSpec augment;
  HeadSpec dino_head;  // of the student
  HeadSpec ibot_head;
  LossSpec loss;
  ScheduleSpec schedule;
  RunSpec run;
};

const OptionTable<DistillOptions>& distill_table();

// All that learn, by name; the one of `student` has the name "".
std::map<std::string, StudentSpec> students_of(const DistillOptions& options);
// The key that a student's options stand under: "student", "students.NAME".
std::string student_key(const std::string& name);
// The options of a job for one of them alone, which comes to the same; `options` are resolved.
Json options_of_student(Json options, const std::string& name);
// What the job makes, from its options as they are given, `with` a recipe's below them. None: they are wrong.
std::vector<std::string> distill_artifacts(const Json& with);

}  // namespace paddock::spec
