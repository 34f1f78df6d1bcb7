#include "jobs/model/model_command.h"

#include "tests/jobs/model_command_case.h"

namespace paddock::model {

// What tells the cases apart. Without both of these a test's name would be the bytes of its options.
static std::string name_of(const VisionTransformerOptions& options) {
  return options.ffn + "_" + std::to_string(options.registers) + "_registers_" +
         std::to_string(options.heads) + "_heads";
}
static void PrintTo(const VisionTransformerOptions& options, std::ostream* out) {
  *out << name_of(options);
}

}  // namespace paddock::model

namespace paddock::jobs {
namespace {

TEST_F(ModelCommand, InfoCountsWhatIsThere) {
  const json about = info_of(weights());
  EXPECT_EQ(about["format"], "safetensors");
  EXPECT_EQ(about["family"], "dinov2");
  EXPECT_EQ(about["embed_dim"], 128);
  EXPECT_EQ(about["depth"], 2);
  EXPECT_EQ(about["heads"], 2);
  EXPECT_EQ(about["patch_size"], 8);
  EXPECT_EQ(about["registers"], 3);
  EXPECT_EQ(about["ffn"], "mlp");
  EXPECT_EQ(about["layerscale"], true);
  EXPECT_EQ(about["positions"]["rows"], 4);
  // Tokens 1 + 17 + 3 + 1 of 128; patches 3·8·8·128 + 128; blocks each 4·128 of norms, 2·128 of gains and the matrices
  // 128 → 384, 128 → 128, 128 → 512, 512 → 128 with their biases; the last norm 2·128.
  const std::int64_t block = 6 * 128 + 128 * 384 + 384 + 128 * 128 + 128 + 128 * 512 + 512 + 512 * 128 + 128;
  const std::int64_t parameters = 22 * 128 + 192 * 128 + 128 + 2 * block + 2 * 128;
  EXPECT_EQ(about["parameters"], parameters);
  EXPECT_EQ(about["bytes"], 4 * parameters);
  EXPECT_EQ(about["dtypes"], json::array({"F32"}));
  EXPECT_EQ(about["left_out"], json::array());
  EXPECT_EQ(run({"info", "--weights", weights().string()}), kDone);
  EXPECT_THAT(out(), AllOf(HasSubstr("128 in 2 heads"), HasSubstr("4 × 4"), HasSubstr("family dinov2")));
}

TEST_F(ModelCommand, APyTorchFileOfTheSameWeightsIsTheSameModel) {
  std::ofstream(path("tiny.pth"), std::ios::binary) << torch_file_of(network_.parameters());
  json about = info_of(path("tiny.pth"));
  EXPECT_EQ(about["format"], "pytorch");
  fs::copy_file(path("tiny.pth"), path("tiny.pth.tar"));
  EXPECT_EQ(info_of(path("tiny.pth.tar"))["format"], "pytorch");
  json expected = info_of(weights());
  for (json* of : {&about, &expected})
    for (const char* key : {"path", "format"}) of->erase(key);
  EXPECT_EQ(about, expected);
  const fs::path back = path("back.safetensors");
  ASSERT_EQ(
      run({"convert", "--weights", path("tiny.pth").string(), "--to", "official", "--out", back.string()}),
      kDone)
      << err();
  const model::TensorMap found = read_tensors(back);
  for (const auto& [name, tensor] : network_.parameters())
    EXPECT_TRUE(torch::equal(found.at(name), tensor)) << name;
}

TEST_F(ModelCommand, ATrainingFileGivesTheRoleAskedForAndNamesTheRest) {
  model::VisionTransformer student(tiny());
  student.initialize(12);
  for (const auto& [name, tensor] : student.parameters())
    if (name == "norm.weight") tensor.fill_(3);
  model::NamedTensors all = model::with_prefix("teacher.backbone.", network_.parameters());
  for (const auto& named : model::with_prefix("student.backbone.", student.parameters()))
    all.push_back(named);
  const auto head = torch::ones({4, 4});
  all.emplace_back("teacher.dino_head.mlp.0.weight", head);
  write_tensors(path("both.safetensors"), all);
  const auto written_by_role = [&](const std::string& role) {
    const fs::path out = path("of-" + role + ".safetensors");
    std::vector<std::string> words = {
        "convert", "--weights", path("both.safetensors").string(), "--to", "official", "--out", out.string()};
    if (!role.empty()) words.insert(words.end(), {"--role", role});
    EXPECT_EQ(run(words), kDone) << err();
    return read_tensors(out).at("norm.weight");
  };
  EXPECT_EQ(written_by_role("teacher").max().item<float>(), 1);
  EXPECT_EQ(written_by_role("student").max().item<float>(), 3);
  EXPECT_EQ(written_by_role("").max().item<float>(), 1);
  const json about = info_of(path("both.safetensors"));
  EXPECT_EQ(about["left_out"].size(), network_.parameters().size() + 1);
  EXPECT_THAT(about["left_out"].dump(), HasSubstr("student.backbone.cls_token"));
}

TEST_F(ModelCommand, ACheckpointOfARunIsReadByItsRole) {
  std::string hash;
  const fs::path checkpoint =
      write_checkpoint(network_, {{"step", 7}, {"backbone", backbone_to_json(tiny())}}, &hash);
  const json about = info_of(checkpoint);
  EXPECT_EQ(about["family"], "paddock");
  EXPECT_EQ(about["checkpoint"], json({{"role", "teacher"}, {"hash", hash}, {"step", 7}}));
  EXPECT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "official", "--out",
                 path("of-checkpoint.safetensors").string()}),
            kDone);
  for (const auto& [name, tensor] : network_.parameters())
    EXPECT_TRUE(torch::equal(read_tensors(path("of-checkpoint.safetensors")).at(name), tensor)) << name;
  expect_refused({"info", "--weights", checkpoint.string(), "--heads", "4"}, kWrongUsage, "2 heads");
  expect_refused({"info", "--weights", checkpoint.string(), "--role", "student"}, kWrongUsage,
                 "student.safetensors");
}

class Conversion : public ModelCommand,
                   public testing::WithParamInterface<model::VisionTransformerOptions> {};

TEST_P(Conversion, ToHuggingFaceAndBackIsTheSameToTheBit) {
  const model::VisionTransformerOptions options = GetParam();
  const model::VisionTransformer network = network_of(options);
  const fs::path original = path("original.safetensors"), back = path("back.safetensors");
  write_tensors(original, network.parameters());
  const std::vector<std::string> heads = {"--heads", std::to_string(options.heads)};
  std::vector<std::string> there = {"convert",      "--weights", original.string(),  "--to",
                                    "hugging-face", "--out",     path("hf").string()};
  there.insert(there.end(), heads.begin(), heads.end());
  ASSERT_EQ(run(there), kDone) << err();
  const json config = json::parse(text_of_file(path("hf/config.json")));
  EXPECT_EQ(config["model_type"], options.registers > 0 ? "dinov2_with_registers" : "dinov2");
  EXPECT_EQ(config["architectures"],
            json::array({options.registers > 0 ? "Dinov2WithRegistersModel" : "Dinov2Model"}));
  EXPECT_EQ(config["num_attention_heads"], options.heads);
  EXPECT_EQ(config["use_swiglu_ffn"], options.ffn == "swiglu");
  EXPECT_EQ(config.contains("num_register_tokens"), options.registers > 0);
  // Heads come from config.json on the way back.
  ASSERT_EQ(run({"convert", "--weights", path("hf").string(), "--to", "official", "--out", back.string()}),
            kDone)
      << err();
  EXPECT_EQ(info_of(path("hf"))["heads"], options.heads);
  const model::TensorMap expected = read_tensors(original), found = read_tensors(back);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(torch::equal(found.at(name), tensor)) << name;
}

model::VisionTransformerOptions changed(const std::function<void(model::VisionTransformerOptions&)>& change) {
  model::VisionTransformerOptions options = tiny();
  change(options);
  return options;
}

INSTANTIATE_TEST_SUITE_P(Architectures, Conversion,
                         testing::Values(tiny(), changed([](auto& options) { options.registers = 0; }),
                                         changed([](auto& options) { options.ffn = "swiglu"; }),
                                         changed([](auto& options) { options.heads = 8; })),
                         [](const auto& each) { return name_of(each.param); });

TEST_F(ModelCommand, ConversionToHalfPrecisionRoundsEachNumber) {
  for (const auto& [option, type, name] :
       {std::tuple{"bf16", torch::kBFloat16, "BF16"}, std::tuple{"fp16", torch::kFloat16, "F16"}}) {
    const fs::path out = path(std::string(option) + ".safetensors");
    ASSERT_EQ(run({"convert", "--weights", weights().string(), "--to", "official", "--out", out.string(),
                   "--dtype", option}),
              kDone)
        << err();
    const model::TensorMap found = read_tensors(out);
    for (const auto& [tensor_name, tensor] : network_.parameters())
      EXPECT_TRUE(torch::equal(found.at(tensor_name), tensor.to(type))) << tensor_name;
    EXPECT_EQ(info_of(out)["dtypes"], json::array({name}));
  }
}

TEST_F(ModelCommand, NumbersThatHalfPrecisionCannotHoldAreNotMadeInfinite) {
  model::VisionTransformer network(tiny());
  network.initialize(1);
  for (const auto& [name, tensor] : network.parameters())
    if (name == "norm.bias") tensor.fill_(1e5);
  write_tensors(path("large.safetensors"), network.parameters());
  expect_refused({"convert", "--weights", path("large.safetensors").string(), "--to", "official", "--dtype",
                  "fp16", "--out", path("half.safetensors").string()},
                 kWrongUsage, "norm.bias has numbers beyond 65504");
}

TEST_F(ModelCommand, ConversionSaysWhatTheNewNamesCannotCarry) {
  const fs::path other = path("without-registers.safetensors");
  const model::VisionTransformer network = network_of(changed([](auto& options) { options.registers = 0; }));
  write_tensors(other, network.parameters());
  ASSERT_EQ(
      run({"convert", "--weights", other.string(), "--to", "hugging-face", "--out", path("hf").string()}),
      kDone);
  EXPECT_THAT(err(), HasSubstr("sizes other than 32 × 32 pixels"));
  ASSERT_EQ(run({"convert", "--weights", weights().string(), "--to", "official", "--heads", "4", "--out",
                 path("four.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), AllOf(HasSubstr("4 heads"), Not(HasSubstr("sizes other than"))));
}

TEST_F(ModelCommand, AConfigSaysWhatNoShapeDoes) {
  ASSERT_EQ(
      run({"convert", "--weights", weights().string(), "--to", "hugging-face", "--out", path("hf").string()}),
      kDone);
  json config = json::parse(text_of_file(path("hf/config.json")));
  EXPECT_EQ(config["layer_norm_eps"], 1e-6);
  const auto change = [&](const std::string& key, const json& value) {
    json changed = config;
    changed[key] = value;
    std::ofstream(path("hf/config.json")) << changed;
  };
  change("layer_norm_eps", 1e-5);
  EXPECT_EQ(info_of(path("hf"))["norm_epsilon"], 1e-5);
  ASSERT_EQ(run({"convert", "--weights", path("hf").string(), "--to", "official", "--out",
                 path("back.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), HasSubstr("LayerNorms add 1e-05"));
  const std::vector<std::string> info = {"info", "--weights", path("hf").string()};
  change("num_attention_heads", "two");
  expect_refused(info, kWrongUsage, "num_attention_heads");
  change("hidden_act", "relu");
  expect_refused(info, kWrongUsage, "only gelu");
  change("num_attention_heads", 2);
  expect_refused({"info", "--weights", path("hf").string(), "--heads", "4"}, kWrongUsage, "--heads says 4");
  fs::remove(path("hf/model.safetensors"));
  expect_refused(info, kWrongUsage, "neither model.safetensors nor pytorch_model.bin");
}

TEST_F(ModelCommand, ForwardEqualsTheBackboneItself) {
  for (const auto& [rows, columns] : {std::pair{32, 32}, std::pair{24, 48}}) {
    const torch::Tensor images = torch::randn({3, 3, rows, columns});
    write_tensors(path("images.safetensors"), {{"images", images}});
    ASSERT_EQ(
        run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
             "--out", path("tokens.safetensors").string(), "--force"}),
        kDone)
        << err();
    const model::TensorMap tokens = read_tensors(path("tokens.safetensors"));
    const model::Features expected = network_.forward_features(images);
    EXPECT_TRUE(torch::equal(tokens.at("cls"), expected.cls_BD));
    EXPECT_TRUE(torch::equal(tokens.at("registers"), expected.registers_BRD));
    EXPECT_TRUE(torch::equal(tokens.at("patches"), expected.patches_BND));
  }
}

TEST_F(ModelCommand, ForwardInBatchesGivesTheSameTokens) {
  const torch::Tensor images = torch::randn({5, 3, 32, 32});
  write_tensors(path("images.safetensors"), {{"images", images}});
  ASSERT_EQ(run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                 "--out", path("tokens.safetensors").string(), "--batch", "2"}),
            kDone)
      << err();
  const torch::Tensor found = read_tensors(path("tokens.safetensors")).at("patches");
  EXPECT_TRUE(torch::allclose(found, network_.forward_features(images).patches_BND, 1e-5, 1e-5));
}

TEST_F(ModelCommand, WrongInputsAreRefusedInOneSentence) {
  const std::string w = weights().string();
  expect_refused({"info", "--weights", path("nothing.pth").string()}, kWrongUsage, "no such file");
  expect_refused({"info", "--weights", path("pictures").string()}, kWrongUsage, "neither manifest.json");
  expect_refused({"info", "--weights", path("pictures/0.png").string()}, kWrongUsage, "no kind of weights");
  std::ofstream(path("torn.safetensors")) << "12345678";
  expect_refused({"info", "--weights", path("torn.safetensors").string()}, kFailed, "torn.safetensors");
  std::ofstream(path("torn.pth")) << "12345678";
  EXPECT_NE(run({"info", "--weights", path("torn.pth").string()}), kDone);
  EXPECT_THAT(err(), HasSubstr("torn.pth"));

  model::NamedTensors odd = network_.parameters();
  const torch::Tensor stranger = torch::ones({3});
  odd.emplace_back("blocks.0.attn.stranger", stranger);
  write_tensors(path("odd.safetensors"), odd);
  expect_refused({"info", "--weights", path("odd.safetensors").string()}, kWrongUsage, "stranger");

  expect_refused(
      {"features", "--weights", w, "--input", pictures(), "--size", "33", "--out", path("x.npy").string()},
      kWrongUsage, "the nearest are 32 and 40");
  expect_refused(
      {"features", "--weights", w, "--input", path("no-pictures").string(), "--out", path("x.npy").string()},
      kWrongUsage, "no-pictures: there is no such");
  expect_refused({"features", "--weights", w, "--input", pictures(), "--what", "patches", "--out",
                  path("x.npy").string()},
                 kWrongUsage, "give --out a .safetensors");

  write_tensors(path("images.safetensors"), {{"pictures", torch::ones({1, 3, 32, 32})}});
  expect_refused({"forward", "--weights", w, "--images", path("images.safetensors").string(), "--out",
                  path("t.safetensors").string()},
                 kWrongUsage, "no tensor named images");
  write_tensors(path("images.safetensors"), {{"images", torch::ones({1, 3, 36, 32})}});
  expect_refused({"forward", "--weights", w, "--images", path("images.safetensors").string(), "--out",
                  path("t.safetensors").string()},
                 kWrongUsage, "multiples of 8");
}

TEST_F(ModelCommand, ResultsThatExistStayUnlessForced) {
  std::ofstream(path("f.npy")) << "mine";
  const std::vector<std::string> words = {"features", "--weights", weights().string(),
                                          "--input",  pictures(),  "--size",
                                          "32",       "--out",     path("f.npy").string()};
  expect_refused(words, kWrongUsage, "--force");
  EXPECT_EQ(text_of_file(path("f.npy")), "mine");
  std::vector<std::string> forced = words;
  forced.push_back("--force");
  EXPECT_EQ(run(forced), kDone) << err();
  EXPECT_NE(text_of_file(path("f.npy")), "mine");
  const std::vector<std::string> convert = {"convert",      "--weights", weights().string(), "--to",
                                            "hugging-face", "--out",     path("hf").string()};
  EXPECT_EQ(run(convert), kDone) << err();
  expect_refused(convert, kWrongUsage, "config.json: is there already");
}

TEST_F(ModelCommand, OptionsAreHeldAgainstWhatIsKnown) {
  expect_refused({"fetures"}, kWrongUsage, "did you mean `features`?");
  expect_refused({"info", "--wieghts", "x"}, kWrongUsage, "did you mean `--weights`?");
  expect_refused({"info"}, kWrongUsage, "--weights PATH is missing");
  expect_refused({"info", "--weights"}, kWrongUsage, "needs PATH");
  expect_refused({"info", "--weights", "a", "--weights", "b"}, kWrongUsage, "given twice");
  expect_refused({"info", "--weights", weights().string(), "--heads", "two"}, kWrongUsage, "whole number");
  expect_refused({"info", "--weights", weights().string(), "--heads", "3"}, kWrongUsage, "heads");
  expect_refused({"convert", "--weights", weights().string(), "--to", "flax", "--out", "x"}, kWrongUsage,
                 "official, hugging-face");
  EXPECT_EQ(run({"--help"}), kDone);
  for (const char* command : {"info", "convert", "forward", "features", "attention", "pca"}) {
    EXPECT_EQ(run({"--help"}), kDone);
    EXPECT_THAT(out(), HasSubstr(command));
    EXPECT_EQ(run({command, "--help"}), kDone);
    EXPECT_THAT(out(), HasSubstr("--weights PATH"));
  }
  EXPECT_EQ(run({}), kWrongUsage);
  EXPECT_THAT(err(), HasSubstr("features"));
}

}  // namespace
}  // namespace paddock::jobs
