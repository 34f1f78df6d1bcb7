#include "jobs/spec/training_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/spec/recipes.h"

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A recipe's options, others over them.
Json options(const std::string& recipe, const Json& over = Json::object()) {
  Json with{{"recipe", recipe}, {"data", "/d"}};
  if (recipe.starts_with("distill")) with["teacher"] = "/t";
  return *with_recipe(find_recipe(recipe)->kind, merged(std::move(with), over));
}

TrainingSummary summary_of(const std::string& recipe, const Json& over = Json::object(),
                           TrainingFacts facts = {}) {
  const auto summary = summarize_training(find_recipe(recipe)->kind, options(recipe, over), facts);
  EXPECT_TRUE(summary.has_value()) << recipe;
  return summary.value_or(TrainingSummary());
}

double gigaflop(const Json& backbone, bool is_wide, std::int64_t global_size = 224) {
  Json over{{"backbone", backbone}, {"crops", {{"global_size", global_size}}}};
  if (!is_wide)
    over["heads"] = {{"dino", {{"prototypes", 65'536}, {"bottleneck", 256}}}, {"separate", false}};
  return summary_of("vitl14", over).sizes->flops_a_picture / 1e9;
}

// Counts made apart from this code, rounded to three or four digits: blocks, embedding and heads of both
// networks, a backward pass twice its forward pass, the share of stochastic depth left out.
TEST(TrainingSummary, FlopOfAPictureAreThoseCountedElsewhere) {
  const auto backbone = [](const char* arch, const char* ffn, double drop_path) {
    return Json{{"arch", arch}, {"ffn", ffn}, {"drop_path", drop_path}};
  };
  EXPECT_NEAR(gigaflop(backbone("vit_small", "mlp", 0), false), 165.7, .1);
  EXPECT_NEAR(gigaflop(backbone("vit_small", "mlp", .4), true), 128.2, .1);
  EXPECT_NEAR(gigaflop(backbone("vit_base", "mlp", 0), false), 593.3, .3);
  EXPECT_NEAR(gigaflop(backbone("vit_large", "swiglu", 0), false), 2'046.8, .5);
  EXPECT_NEAR(gigaflop(backbone("vit_large", "swiglu", .4), true), 1'378, 1);
  EXPECT_NEAR(gigaflop(backbone("vit_giant2", "swiglu", .4), true), 5'025, 2);
  EXPECT_NEAR(gigaflop(backbone("vit_large", "swiglu", .4), true, 518), 6'263, 5);
}

TEST(TrainingSummary, LengthsAreAlsoSamplesAndEpochs) {
  TrainingFacts facts;
  facts.dataset_pictures = 1'281'167;
  const auto summary = summary_of("vitl16-short", Json::object(), facts);
  EXPECT_EQ(summary.samples, 256'000'000);
  EXPECT_EQ(summary.warmup_samples, 25'600'000);
  EXPECT_NEAR(*summary.epochs, 199.8, .05);
  EXPECT_NEAR(summary.peak_learning_rate, 4e-3 * 1.414214, 1e-8);
  EXPECT_EQ(summary.sizes->student_tokens, 690);
  EXPECT_EQ(summary.sizes->teacher_tokens, 2 * 197);
  EXPECT_EQ(summary_of("vitl14").sizes->student_tokens, 914);
  EXPECT_FALSE(summary_of("vitl14").epochs.has_value());
}

TEST(TrainingSummary, ParametersAreThoseOfBackboneAndBothHeads) {
  const auto summary = summary_of("vitg14");
  // The released giant with 4 registers less and positions for 224 pixels: 256 + 1 rows of 1,536 instead of
  // 1,370.
  EXPECT_EQ(summary.sizes->backbone_parameters, 1'136'480'768 - (1'370 - 257) * 1'536);
  EXPECT_EQ(summary.sizes->heads_parameters, 58'593'664 + 41'554'176);
}

// Small enough for pencil and paper. Backbone: 19 rows of tokens · 8 + 49·8 + 2 blocks · 888 + 16 = 2,336;
// head: 114.
Json tiny() {
  return Json::parse(R"({
    "data": "/d", "batch_size": 8, "shards": 4,
    "backbone": {"arch": "custom", "embed_dim": 8, "depth": 2, "heads": 1, "patch_size": 4},
    "crops": {"global_size": 16, "local_size": 8, "local_count": 2},
    "heads": {"dino": {"prototypes": 16, "hidden": 4, "bottleneck": 2, "layers": 3}},
    "schedule": {"steps": 1000, "warmup_steps": 100}, "run": {"precision": "fp32"}})");
}

TEST(TrainingSummary, MemoryIsTheSumOfItsPartsWorkedOutByHand) {
  TrainingFacts facts;
  facts.ranks = 2;
  const auto summary = summarize_training("pretrain", tiny(), facts);
  ASSERT_TRUE(summary.has_value());
  const double parameters = 2'336 + 114;
  const TrainingMemory& memory = summary->sizes->memory;
  EXPECT_EQ(memory.weights, 2 * 4 * parameters + 4 * 2'336);
  // The gradient, a finished shard's, the newest's; what the other ranks send and half of its sum.
  EXPECT_EQ(memory.gradients, 4 * parameters * (1 + 2 + 1.5));
  EXPECT_EQ(memory.optimiser, 2 * 4 * parameters / 2);
  EXPECT_EQ(memory.checkpoint, 4 * 4 * parameters);
  EXPECT_EQ(memory.pictures, 4 * 4 * 3 * (2 * 256 + 2 * 64));
  EXPECT_DOUBLE_EQ(memory.targets, 4 * 4 * (2 * 16 + 4.8 * 16));  // 4.8 hidden patches a picture
  // 44 tokens in 2 blocks of 6·8 + 32 numbers, 40 patches of 48 numbers, 4 + 4.8 rows of the head of 256
  // bytes; two pictures.
  EXPECT_DOUBLE_EQ(memory.activations, 2 * (44 * 2 * 80 * 4 + 40 * 48 * 4 + 8.8 * 256));
  EXPECT_DOUBLE_EQ(memory.total(), memory.weights + memory.gradients + memory.optimiser + memory.pictures +
                                       memory.targets + memory.activations);
}

TEST(TrainingSummary, WithoutFusedBlocksMoreIsKept) {
  Json with = tiny();
  with["run"]["device"] = "cuda";
  const auto memory = summarize_training("pretrain", with, {})->sizes->memory;
  EXPECT_EQ(memory.weights, 2 * 4 * (2'336.0 + 114));
  // Of a token 2·8 inputs and 2·8 outputs of branches, 6·8 of attention, 8 + 2·32 of the feed-forward.
  EXPECT_DOUBLE_EQ(memory.activations, 2 * (44 * 2 * (16 + 16 + 48 + 72) * 4 + 40 * 48 * 4 + 8.8 * 256));
  with["backbone"]["ffn"] = "swiglu";  // 24 wide inside, four times
  EXPECT_DOUBLE_EQ(memory.activations - summarize_training("pretrain", with, {})->sizes->memory.activations,
                   2 * 44 * 2 * (2 * 32 - 4 * 24) * 4);
}

TEST(TrainingSummary, ActivationCheckpointingKeepsInputsOfBlocksAndOneBlockOrTheHeads) {
  Json with = tiny();
  with["run"]["activation_checkpointing"] = true;
  const auto activations = [&] {
    return summarize_training("pretrain", with, {})->sizes->memory.activations;
  };
  EXPECT_DOUBLE_EQ(activations(), 2 * (44 * 2 * 8 * 4 + 44 * 80 * 4 + 40 * 48 * 4));
  with["heads"]["dino"]["hidden"] = 4'000;  // 2 · 2 · 4,000 numbers a row, and 16 scores of 12 bytes
  EXPECT_DOUBLE_EQ(activations(), 2 * (44 * 2 * 8 * 4 + 40 * 48 * 4 + 8.8 * (16'000 * 4 + 16 * 12)));
}

TEST(TrainingSummary, Bf16HalvesWhatProductsKeepAndAddsCopiesOfTheWeights) {
  TrainingFacts facts;
  facts.ranks = 2;
  facts.is_bf16 = true;
  const auto memory = summarize_training("pretrain", tiny(), facts)->sizes->memory;
  EXPECT_EQ(memory.weights, (2 * 4 + 2) * (2'336.0 + 114));
  // Of the 152 numbers 32 stay float32; a score takes 2 + 8 bytes.
  EXPECT_DOUBLE_EQ(memory.activations,
                   2 * (44 * 2 * (32 * 4 + 120 * 2) + 40 * 48 * 2 + 8.8 * (2 * 8 * 2 + 16 * 10)));
}

// Of the 2,450 numbers 2,138 go into products: 2,072 of the backbone (392 of the embedding, 840 of a block), 66 of the head.
TEST(TrainingSummary, SlicedWeightsAreBf16CopiesTheRestInFloat32AndTheRanksSlice) {
  Json with = tiny();
  with["run"] = {{"device", "cpu"}, {"weights", "sliced"}};
  TrainingFacts facts;
  facts.ranks = 2;
  const auto summary = summarize_training("pretrain", with, facts);
  EXPECT_TRUE(summary->is_bf16);
  const TrainingMemory& memory = summary->sizes->memory;
  EXPECT_EQ(memory.weights, 2 * (2 * 2'138.0 + 4 * 312 + 4 * 2'450 / 2) + 2 * 16 * 2);
  EXPECT_EQ(memory.optimiser, 2 * 4 * 2'450.0 / 2);
  // In plain form on a CPU too.
  with["run"] = {{"device", "cuda"}, {"precision", "bf16"}};
  EXPECT_EQ(memory.activations, summarize_training("pretrain", with, facts)->sizes->memory.activations);
  with["run"] = {{"precision", "fp32"}, {"weights", "sliced"}};
  EXPECT_FALSE(summarize_training("pretrain", with, facts).has_value());
}

// On the official number of GPUs.
TEST(TrainingSummary, TheGiantsWeightsTakeHalfOfWhatWholeOnesTake) {
  TrainingFacts facts;
  facts.ranks = 256;
  const double sliced = summary_of("vitg14", Json::object(), facts).sizes->memory.weights;
  const double whole = summary_of("vitg14", {{"run", {{"weights", "whole"}}}}, facts).sizes->memory.weights;
  EXPECT_LT(sliced, .45 * whole);
}

TEST(TrainingSummary, StochasticDepthKeepsTheShareOfTheActivations) {
  Json with = tiny();
  const double whole = summarize_training("pretrain", with, {})->sizes->memory.activations;
  with["backbone"]["drop_path"] = .5;
  EXPECT_DOUBLE_EQ(whole - summarize_training("pretrain", with, {})->sizes->memory.activations,
                   2 * 44 * 2 * 320 / 2.0);
}

TEST(TrainingSummary, TheTeachersScoresCountWhereTheyAreMore) {
  Json with = tiny();
  with["shards"] = 1;
  with["heads"]["dino"]["prototypes"] = 100'000;
  with["crops"]["local_count"] = 0;
  const auto memory = summarize_training("pretrain", with, {})->sizes->memory;
  EXPECT_DOUBLE_EQ(memory.targets, 8 * 4 * 6.8 * 100'000);
  EXPECT_GT(memory.activations,
            memory.targets);  // the student's scores, with the loss's: three times as many bytes
  with["shards"] = 4;         // a quarter of them at a time, but the teacher's are there all at once
  EXPECT_DOUBLE_EQ(summarize_training("pretrain", with, {})->sizes->memory.activations,
                   8 * 4 * 6.8 * 100'000);
}

TEST(TrainingSummary, AlonedinoAndIbotLeaveOutWhatIsNotLookedAt) {
  EXPECT_EQ(summary_of("vits14-short", {{"loss", {{"dino_weight", 0}}}}).sizes->student_tokens, 514);
  const double with_patches = summary_of("vits14-short").sizes->flops_a_picture;
  const double without = summary_of("vits14-short", {{"loss", {{"ibot_weight", 0}}}}).sizes->flops_a_picture;
  EXPECT_NEAR(with_patches - without,
              4 * 76.8 * 2 * (384 * 2'048 + 2'048 * 2'048 + 2'048 * 256 + 256 * 65'536.), 1);
}

TEST(TrainingSummary, ADistillationIsCountedOnceItsTeacherIsKnown) {
  const auto before = summary_of("distill-vits14");
  EXPECT_FALSE(before.sizes->is_teacher_known);
  EXPECT_EQ(before.sizes->memory.targets, 0);
  EXPECT_THAT(to_text(before), HasSubstr("at least"));
  TrainingFacts facts;
  facts.frozen_teacher.emplace();
  facts.frozen_teacher->backbone.arch = "vit_large";
  facts.frozen_teacher->backbone.ffn = "swiglu";
  facts.frozen_teacher->backbone = resolved(facts.frozen_teacher->backbone);
  facts.frozen_teacher->dino_head = {131'072, 2'048, 384, 3};
  facts.frozen_teacher->ibot_head = {131'072, 2'048, 256, 3};
  const auto known = summary_of("distill-vits14", Json::object(), facts);
  EXPECT_TRUE(known.sizes->is_teacher_known);
  EXPECT_EQ(known.sizes->heads_parameters,
            head_parameters({131'072, 2'048, 384, 3}, 384) + head_parameters({131'072, 2'048, 256, 3}, 384));
  // Nothing is hidden, and the iBOT loss looks at all 2·256 patches.
  const double student = 42.0e9, teacher = 324.5e9;  // forward, as counted elsewhere
  const double heads =
      3 * (10 * head_flops({131'072, 2'048, 384, 3}, 384) + 512 * head_flops({131'072, 2'048, 256, 3}, 384)) +
      2 * head_flops({131'072, 2'048, 384, 3}, 1'024) + 512 * head_flops({131'072, 2'048, 256, 3}, 1'024);
  EXPECT_NEAR(known.sizes->flops_a_picture, 3 * student + teacher + heads, 3e8);
  EXPECT_GT(known.sizes->memory.weights - before.sizes->memory.weights, 4 * 304e6);
}

TEST(TrainingSummary, AnAdaptationIsCountedOnceItsNetworkIsKnown) {
  const Json with{{"recipe", "adapt-518"}, {"data", "/d"}, {"from", "/f"}};
  const Json options = *with_recipe("adapt", with);
  const auto before = summarize_training("adapt", options, {});
  ASSERT_TRUE(before.has_value());
  EXPECT_FALSE(before->sizes.has_value());
  EXPECT_THAT(to_text(*before), HasSubstr("those that it begins from"));
  EXPECT_TRUE(to_json(*before)["sizes"].is_null());
  TrainingFacts facts;
  facts.student =
      training_run("pretrain", *with_recipe("pretrain", {{"recipe", "vitl14"}, {"data", "/d"}}), {})->student;
  facts.student->image_size = 518;
  const auto known = summarize_training("adapt", options, facts);
  EXPECT_EQ(known->sizes->student_tokens, 2 * 1'370 + 8 * 50);
  EXPECT_NEAR(known->sizes->flops_a_picture, 6.263e12, 5e9);
  EXPECT_THAT(known->warnings, IsEmpty());  // its learning rate is low because it begins from weights
}

TEST(TrainingSummary, OtherKindsAndWrongOptionsHaveNone) {
  EXPECT_FALSE(summarize_training("evaluate", {{"data", "/d"}}, {}).has_value());
  EXPECT_FALSE(summarize_training("pretrain", {{"data", "/d"}, {"batch_size", -1}}, {}).has_value());
}

TEST(TrainingSummary, PrecisionFollowsTheOptionsWhereNobodyKnowsTheMachine) {
  const auto is_bf16 = [](const char* precision, const char* device) {
    return summary_of("vits14-short", {{"run", {{"precision", precision}, {"device", device}}}}).is_bf16;
  };
  EXPECT_TRUE(is_bf16("auto", "auto"));
  EXPECT_FALSE(is_bf16("auto", "cpu"));
  EXPECT_TRUE(is_bf16("bf16", "cpu"));
  EXPECT_FALSE(is_bf16("fp32", "cuda"));
}

TEST(TrainingSummary, TheTextSaysWhatFollows) {
  TrainingFacts facts;
  facts.ranks = 8;
  facts.dataset_pictures = 1'281'167;
  const std::string text = to_text(summary_of("vits14-short", Json::object(), facts));
  EXPECT_THAT(
      text,
      HasSubstr("125,000 steps of 2,048 pictures: 256,000,000 samples (199.8 epochs of 1,281,167 pictures)"));
  EXPECT_THAT(text, HasSubstr("0.00566, which is 0.004 · √(2048 / 1024), after a warm-up of 12,500 steps"));
  EXPECT_THAT(text, HasSubstr("backbone 21.6 M parameters, heads 22.4 M parameters"));
  EXPECT_THAT(text, HasSubstr("32 of 64 pictures; 8 ranks have at most 4 each"));
  EXPECT_EQ(text.find("warning"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

TEST(TrainingSummary, JsonHoldsTheSameNumbers) {
  const auto summary = summary_of("vitl14");
  const Json json = to_json(summary);
  EXPECT_EQ(json["samples"], 1'920'000'000);
  EXPECT_TRUE(json["epochs"].is_null());
  EXPECT_EQ(json["sizes"]["memory_bytes"]["total"], summary.sizes->memory.total());
  EXPECT_EQ(json["warnings"], Json::array());
  EXPECT_TRUE(to_json(summary_of("distill-vits14"))["sizes"]["heads_parameters"].is_null());
}

std::string only_warning(const std::string& recipe, const Json& over, TrainingFacts facts = {}) {
  const auto warnings = summary_of(recipe, over, facts).warnings;
  EXPECT_EQ(warnings.size(), 1u) << ::testing::PrintToString(warnings);
  return warnings.empty() ? "" : warnings.front();
}

TEST(TrainingWarnings, FewClassTokensForManyPrototypes) {
  EXPECT_EQ(
      only_warning("vits14-short", {{"batch_size", 64}, {"shards", 1}}),
      "a batch of 64 brings about 128 class tokens to 65,536 prototypes: most prototypes get no say in a "
      "step and the "
      "loss stays near its first value; set heads.dino.prototypes to 4096 or less, or raise batch_size");
  EXPECT_THAT(only_warning("vits14-short",
                           {{"batch_size", 256}, {"shards", 4}, {"loss", {{"centering", "sinkhorn_knopp"}}}}),
              HasSubstr("too few for Sinkhorn–Knopp to balance: most"));
  EXPECT_THAT(summary_of("vits14-short", {{"batch_size", 256}, {"shards", 4}}).warnings, IsEmpty());
  EXPECT_THAT(summary_of("vits14-short",
                         {{"batch_size", 64}, {"shards", 1}, {"heads", {{"dino", {{"prototypes", 4'096}}}}}})
                  .warnings,
              IsEmpty());
}

TEST(TrainingWarnings, FewPatchesForManyPrototypes) {
  const Json over{
      {"heads",
       {{"separate", true}, {"ibot", {{"prototypes", 1'048'576}}}, {"dino", {{"prototypes", 4'096}}}}},
      {"batch_size", 32},
      {"shards", 1},
      {"loss", {{"centering", "sinkhorn_knopp"}}}};
  EXPECT_THAT(only_warning("vits14-short", over),
              HasSubstr("brings about 2,458 patches to 1,048,576 prototypes"));
  EXPECT_THAT(only_warning("vits14-short", over), HasSubstr("set heads.ibot.prototypes to 65536 or less"));
}

TEST(TrainingWarnings, AFrozenTeacherDecidesThePrototypes) {
  TrainingFacts facts;
  facts.frozen_teacher.emplace();
  facts.frozen_teacher->dino_head.prototypes = 131'072;
  const std::string warning = only_warning("distill-vits14", {{"batch_size", 128}, {"shards", 2}}, facts);
  EXPECT_THAT(warning, HasSubstr("raise batch_size, since the teacher decides their number"));
  EXPECT_THAT(summary_of("distill-vits14", {{"batch_size", 128}, {"shards", 2}}).warnings, IsEmpty());
}

TEST(TrainingWarnings, KoleoOverAFewPictures) {
  const Json few{{"heads", {{"dino", {{"prototypes", 1'024}}}}}, {"batch_size", 64}, {"shards", 32}};
  EXPECT_EQ(only_warning("vits14-short", few),
            "KoLeo spreads a picture's features against those of the 1 others of its shard, too few to say "
            "much; set shards "
            "to 8, or loss.koleo_weight to 0");
  Json without = few;
  without["loss"]["koleo_weight"] = 0;
  EXPECT_THAT(summary_of("vits14-short", without).warnings, IsEmpty());
  Json smallest = few;
  smallest["batch_size"] = 4;
  smallest["shards"] = 2;
  EXPECT_THAT(summary_of("vits14-short", smallest).warnings,
              ElementsAre(HasSubstr("raise batch_size, or set loss.koleo_weight to 0")));
}

TEST(TrainingWarnings, ALearningRateFarBelowThePublishedOnes) {
  const Json over{{"batch_size", 64},
                  {"shards", 1},
                  {"loss", {{"centering", "softmax"}}},
                  {"heads", {{"dino", {{"prototypes", 4'096}}}, {"ibot", {{"prototypes", 4'096}}}}}};
  EXPECT_EQ(only_warning("vitl14", over),
            "the learning rate of a batch of 64 peaks at 5e-05, so low that the loss may stay flat; set "
            "schedule.base_lr to "
            "about 0.0014, or raise batch_size");
}

TEST(TrainingWarnings, LengthsThatDoNotFitTheRun) {
  const auto with = [](const Json& schedule) { return Json{{"schedule", schedule}}; };
  EXPECT_EQ(only_warning("vitl14", with({{"steps", 120'000}})),
            "the learning rate warms up for 83 % of the run; set schedule.warmup_steps to 12000");
  EXPECT_THAT(
      only_warning("vitl14", with({{"steps", 30'000}, {"warmup_steps", 3'000}})),
      HasSubstr("temperature never comes to its end value, since its warm-up is longer than the run; set "
                "schedule.teacher_temperature_steps to 9000"));
  EXPECT_THAT(only_warning("vits14-short",
                           with({{"steps", 2'000}, {"warmup_steps", 200}, {"teacher_temperature_steps", 0}})),
              HasSubstr("prototypes stay as they were drawn for 63 % of the run; set "
                        "schedule.freeze_last_layer_steps to 20"));
  EXPECT_EQ(only_warning("vits14-short", with({{"steps", 300},
                                               {"warmup_steps", 30},
                                               {"teacher_temperature_steps", 0},
                                               {"freeze_last_layer_steps", 0}})),
            "the averaged model remembers about 125 steps of a run of 300, so it keeps much of its first "
            "weights; set "
            "schedule.momentum_start to 0.967 or less");
}

TEST(TrainingWarnings, RanksThatDoNotFitTheShards) {
  TrainingFacts facts;
  facts.ranks = 48;
  EXPECT_EQ(
      only_warning("vits14-short", Json::object(), facts),
      "48 ranks are more than the 32 shards there are, which is refused; set shards to a multiple of 48");
  facts.ranks = 12;
  EXPECT_THAT(only_warning("vits14-short", Json::object(), facts),
              HasSubstr("12 ranks share 32 shards unevenly: each step waits for a rank with 3"));
}

TEST(TrainingWarnings, ADatasetSmallerThanABatch) {
  TrainingFacts facts;
  facts.dataset_pictures = 1'000;
  EXPECT_THAT(only_warning("vits14-short", Json::object(), facts),
              HasSubstr("the dataset has 1,000 pictures, fewer than a batch of 2,048"));
}

}  // namespace
}  // namespace paddock::spec
