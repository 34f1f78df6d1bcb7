#include "jobs/spec/training_memory.h"

#include <algorithm>
#include <bit>

namespace paddock::spec {
namespace {

constexpr double kFloat = 4;  // bytes

// Buffers of the tree that gradients are summed in (model/shards.h) when a rank has so many shards: the
// subtrees whose other half is still to come, and the newest shard's.
std::int64_t sum_buffers(std::int64_t shards) {
  int most = 0;
  for (std::uint64_t done = 0; done < static_cast<std::uint64_t>(shards); ++done)
    most = std::max(most, std::popcount(done) + 1);
  return most;
}

// What the backward pass of a block keeps of a token. `value`: bytes of a number in the products.
double block_bytes(const BackboneSpec& backbone, double value, bool is_fused) {
  const auto width = static_cast<double>(backbone.embed_dim),
             hidden = static_cast<double>(feed_forward_width(backbone));
  const double inner = backbone.ffn == "swiglu" ? 2 * hidden : hidden;
  // Normed twice; queries, keys, values; attended; what the activation is given.
  if (is_fused) return (6 * width + inner) * value * (1 - backbone.drop_path);
  const double inputs = 2 * width * kFloat;  // of both norms
  const double outputs =
      backbone.layerscale > 0 ? 2 * width * kFloat : 0;  // of both branches, before their gains
  const double attention =
      6 * width * value;  // normed; queries, keys, values; attended, and that side by side
  const double feed_forward = (width + (backbone.ffn == "swiglu" ? 2 * inner : inner + hidden)) * value;
  return (inputs + outputs + attention + feed_forward) * (1 - backbone.drop_path);
}

double head_bytes(const HeadSpec& head, double rows, double value) {
  const auto inner = static_cast<double>((head.layers - 1) * head.hidden);
  // A score, the loss's derivative by it, and one more while that is worked out.
  return rows * (2 * inner * value + static_cast<double>(head.prototypes) * (value + 2 * kFloat));
}

// What a student's backward pass keeps of a picture.
double activation_bytes(const TrainingRun& run, const NetworkSize& student, double value) {
  const BackboneSpec& backbone = student.backbone;
  const std::int64_t locals = run.local_crops();
  const auto patches = static_cast<double>(2 * patches_of(backbone, run.crops.global_size) +
                                           locals * patches_of(backbone, run.crops.local_size));
  const auto pixels = static_cast<double>(backbone.channels * backbone.patch_size * backbone.patch_size);
  const auto tokens = static_cast<double>(run.student_tokens(student)),
             blocks = static_cast<double>(backbone.depth);
  const double block = tokens * block_bytes(backbone, value, run.is_fused);
  const double heads = run.teacher ? head_bytes(student.dino_head, static_cast<double>(2 + locals), value) +
                                         head_bytes(student.patch_head(), run.patches_looked_at(), value)
                                   : 0;
  const double embedding = patches * pixels * value;
  if (!run.is_checkpointing) return embedding + blocks * block + heads;
  // The heads' part is gone before the first block is made again.
  const double inputs = tokens * blocks * static_cast<double>(backbone.embed_dim) * kFloat;
  return embedding + inputs + std::max(heads, block);
}

double prototype_elements(const HeadSpec& head) {
  return static_cast<double>(head.prototypes * head.bottleneck);
}

// Of a student with its average: what is there, and what products are given in place of it. `parameters`: counted of the student.
double weights_bytes(const TrainingRun& run, const NetworkSize& student, double parameters) {
  if (run.is_sliced) {
    const auto in_products = static_cast<double>(backbone_product_parameters(student) +
                                                 (run.teacher ? heads_product_parameters(student) : 0));
    const double own = parameters / static_cast<double>(run.ranks);
    // The student's graph keeps what its prototypes are rounded to.
    double prototypes = 0;
    if (run.teacher) {
      prototypes = prototype_elements(student.dino_head);
      if (student.ibot_head) prototypes += prototype_elements(*student.ibot_head);
    }
    return 2 * (in_products * 2 + (parameters - in_products) * kFloat + own * kFloat) + prototypes * 2;
  }
  double bytes = 2 * parameters * kFloat;
  if (run.is_bf16) bytes += parameters * 2;
  if (run.is_fused) bytes += static_cast<double>(backbone_parameters(student)) * kFloat;
  return bytes;
}

}  // namespace

TrainingMemory training_memory(const TrainingRun& run) {
  const double value = run.is_bf16 ? 2 : kFloat;
  const auto in_a_shard = static_cast<double>(run.pictures_a_shard());
  const double own_pictures = in_a_shard * static_cast<double>(run.shards_a_rank());
  TrainingMemory memory;
  for (const auto& [name, student] : run.learners()) {
    const auto parameters =
        static_cast<double>(backbone_parameters(student) + (run.teacher ? heads_parameters(student) : 0));
    memory.weights += weights_bytes(run, student, parameters);
    memory.gradients += parameters * kFloat * static_cast<double>(1 + sum_buffers(run.shards_a_rank()));
    // What the others send, and the sum of it.
    if (run.ranks > 1) memory.gradients += parameters * kFloat * (1 + 1 / static_cast<double>(run.ranks));
    memory.optimiser += 2 * parameters * kFloat / static_cast<double>(run.ranks);
    memory.checkpoint += 4 * parameters * kFloat;
    // One student after the other looks at a shard.
    memory.activations = std::max(memory.activations, in_a_shard * activation_bytes(run, student, value));
  }
  const std::int64_t global = run.crops.global_size, local = run.crops.local_size;
  memory.pictures = own_pictures * kFloat *
                    static_cast<double>(run.student.backbone.channels *
                                        (2 * global * global + run.local_crops() * local * local));
  double scores = 0;  // of the teacher, of a picture
  if (run.teacher) {
    if (run.is_teacher_frozen)
      memory.weights +=
          static_cast<double>(backbone_parameters(*run.teacher) + heads_parameters(*run.teacher)) * kFloat;
    scores = 2 * static_cast<double>(run.teacher->dino_head.prototypes) +
             run.patches_looked_at() * static_cast<double>(run.teacher->patch_head().prototypes);
  }
  memory.targets = own_pictures * scores * kFloat;
  memory.activations = std::max(memory.activations, own_pictures * scores * value);
  return memory;
}

}  // namespace paddock::spec
