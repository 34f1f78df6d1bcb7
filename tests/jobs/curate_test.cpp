#include "jobs/curate/curate.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <map>
#include <set>

#include "data/decode.h"
#include "jobs/curate/descriptor.h"
#include "jobs/curate/embeddings.h"
#include "jobs/curate/prepared_picture.h"
#include "storage/disk.h"
#include "storage/shard.h"
#include "tests/jobs/drawn_pictures.h"

namespace paddock::curate {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kPictures = 240;
const char* const kFolders[] = {"animals", "food", "people", "tools"};

std::string path_of(int number) {
  return std::string(kFolders[number % 4]) + "/" + std::to_string(number) + ".png";
}

// 240 pictures and what was planted among them: `planted` is path → the picture it was made from.
struct Pool {
  fs::path path;
  std::map<std::string, std::string> same_bytes, same_pixels, near, refused;
};

Pool make_pool(const fs::path& path) {
  Pool pool{path, {}, {}, {}, {}};
  for (int i = 0; i < kPictures; ++i) {
    const data::Image picture =
        drawn_picture(static_cast<std::uint64_t>(i), 100 + i % 7 * 10, 100 + i % 5 * 10);
    std::vector<std::byte> png = data::encode_png(picture);
    write_bytes(path / path_of(i), png);
    const std::string name = "extra/" + std::to_string(i) + ".png";
    if (i % 12 == 0) {
      fs::create_directories(path / "extra");
      fs::create_symlink(path / path_of(i), path / name);
      pool.same_bytes[name] = path_of(i);
    } else if (i % 12 == 3) {  // bytes after the end of a PNG change nothing of the picture
      png.resize(png.size() + 7, std::byte{42});
      write_bytes(path / name, png);
      pool.same_pixels[name] = path_of(i);
    } else if (i % 12 == 6) {
      write_bytes(path / name,
                  data::encode_png(data::resize(picture, picture.width * 3 / 5, picture.height * 3 / 5)));
      pool.near[name] = path_of(i);
    } else if (i % 12 == 9) {
      data::Image brighter = picture;
      for (std::uint8_t& value : brighter.rgb) value = static_cast<std::uint8_t>(std::min(255, value + 9));
      write_bytes(path / name, data::encode_png(brighter));
      pool.near[name] = path_of(i);
    }
  }
  write_bytes(path / "broken/text.png", std::vector<std::byte>(50, std::byte{'x'}));
  std::vector<std::byte> cut = data::encode_png(drawn_picture(5000, 120, 120));
  cut.resize(cut.size() / 2);
  write_bytes(path / "broken/cut.png", cut);
  write_bytes(path / "broken/tiny.png", data::encode_png(drawn_picture(5001, 8, 8)));
  fs::create_symlink("nowhere.png", path / "broken/link.png");
  for (const char* name : {"text", "cut", "tiny", "link"})
    pool.refused[std::string("broken/") + name + ".png"] = "";
  return pool;
}

spec::CurateOptions options_for(const Pool& pool) {
  spec::CurateOptions options;
  options.pool = pool.path.string();
  options.decode.max_side = 96;
  options.min_class = 25;
  options.held_out.share = .3;
  return options;
}

int null_descriptor() {
  static const int descriptor = ::open("/dev/null", O_WRONLY);
  return descriptor;
}

void curate(const spec::CurateOptions& options, const fs::path& dir) {
  jobs::ReportChannel report(null_descriptor());
  run_curate(options, dir, report);
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Every file of a folder, by its path below it.
std::map<std::string, std::string> contents_of(const fs::path& dir) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file())
      contents[entry.path().lexically_relative(dir).string()] = text_of(entry.path());
  return contents;
}

std::map<std::string, json> provenance_of(const fs::path& dir) {
  std::map<std::string, json> lines;
  std::ifstream in(dir / "dataset/provenance.jsonl");
  for (std::string line; std::getline(in, line);) {
    json parsed = json::parse(line);
    const std::string path = parsed["path"];
    EXPECT_FALSE(lines.contains(path)) << path << " is there twice";
    lines[path] = std::move(parsed);
  }
  return lines;
}

class Curate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new ScratchFolder("paddock-curate");
    pool_ = new Pool(make_pool(scratch_->path() / "pool"));
    curate(options_for(*pool_), scratch_->path() / "first");
  }
  static void TearDownTestSuite() {
    delete pool_;
    delete scratch_;
  }
  static fs::path first() { return scratch_->path() / "first"; }

  static ScratchFolder* scratch_;
  static Pool* pool_;
};
ScratchFolder* Curate::scratch_ = nullptr;
Pool* Curate::pool_ = nullptr;

TEST_F(Curate, SaysOnceOfEveryPathWhatBecameOfIt) {
  const auto lines = provenance_of(first());
  std::set<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(pool_->path))
    if (!entry.is_directory()) paths.insert(entry.path().lexically_relative(pool_->path).string());
  ASSERT_EQ(lines.size(), paths.size());
  for (const std::string& path : paths) EXPECT_TRUE(lines.contains(path)) << path;
  const json about = json::parse(text_of(first() / "dataset/dataset.json"));
  std::size_t kept = 0;
  for (const auto& [path, line] : lines) kept += line["fate"] != "dropped";
  EXPECT_EQ(about["funnel"].front()["left"], paths.size());
  EXPECT_EQ(about["funnel"].back()["left"], kept);
  EXPECT_EQ(about["train"]["pictures"].get<std::size_t>() + about["test"]["pictures"].get<std::size_t>(),
            kept);
}

TEST_F(Curate, FindsEveryPlantedDuplicateAndNamesItsOriginal) {
  const auto lines = provenance_of(first());
  const auto expect = [&](const std::map<std::string, std::string>& planted, const std::string& stage) {
    EXPECT_EQ(planted.size(), planted == pool_->near ? 40u : 20u);
    for (const auto& [copy, original] : planted) {
      // Which of a pair is kept follows the stated order, so either may be the one dropped.
      const json& line = lines.at(copy)["stage"] == stage ? lines.at(copy) : lines.at(original);
      EXPECT_EQ(line["stage"], stage) << copy;
      EXPECT_EQ(line["partner"], line["path"] == copy ? original : copy);
    }
  };
  expect(pool_->same_bytes, "same_bytes");
  expect(pool_->same_pixels, "same_pixels");
  expect(pool_->near, "near_duplicate");
  for (const auto& [path, unused] : pool_->refused) {
    EXPECT_EQ(lines.at(path)["stage"], "refused") << path;
    EXPECT_FALSE(lines.at(path)["reason"].get<std::string>().empty()) << path;
  }
  std::size_t strangers = 0;
  for (int i = 0; i < kPictures; ++i)
    if (lines.at(path_of(i))["stage"] == "near_duplicate" &&
        !pool_->near.contains(lines.at(path_of(i))["partner"]))
      ++strangers;
  EXPECT_LE(strangers, 3u) << "pictures drawn from different numbers are not copies";
}

TEST_F(Curate, TestPicturesResembleNoTrainPicture) {
  storage::RealDisk disk;
  const auto descriptors = [&](const char* split) {
    const auto set = storage::ShardSet::open(disk, first() / "dataset" / split);
    EXPECT_TRUE(set.has_value());
    Embeddings rows(kDescriptorDim);
    for (std::uint64_t i = 0; i < set->size(); ++i)
      rows.add(describe(*data::decode_image(set->read(i)->members.find("png")->second)));
    return rows;
  };
  const Embeddings train = descriptors("train");
  const Embeddings test = descriptors("test");
  ASSERT_GT(test.size(), 20u);
  ASSERT_GT(train.size(), 80u);
  std::vector<std::int32_t> scores(train.size());
  for (std::size_t t = 0; t < test.size(); ++t) {
    similarities(test.row(t), train, 0, train.size(), scores.data());
    for (const std::int32_t score : scores) EXPECT_LT(score, at_least(spec::CurateOptions().held_out.leak));
  }
}

TEST_F(Curate, LabelsAreTheTopFoldersThatAreLargeEnough) {
  const json classes = json::parse(text_of(first() / "dataset/classes.json"))["classes"];
  std::vector<std::string> names;
  for (const json& one : classes) names.push_back(one["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"animals", "food", "people", "tools"}));
  storage::RealDisk disk;
  const auto train = storage::ShardSet::open(disk, first() / "dataset/train");
  ASSERT_TRUE(train.has_value());
  const auto sample = train->read(0);
  const json about = json::parse(storage::text_of(sample->members.find("json")->second));
  const std::string source = about["source"];
  if (about["label"].is_string()) {
    EXPECT_EQ(about["label"], source.substr(0, source.find('/')));
  }
  const auto picture = data::decode_image(sample->members.find("png")->second);
  EXPECT_EQ(std::min(picture->width, picture->height), 96);
}

TEST_F(Curate, GivesTheSameBytesOnAnyNumberOfThreads) {
  ASSERT_EQ(::setenv("OMP_NUM_THREADS", "3", 1), 0);
  curate(options_for(*pool_), scratch_->path() / "threads");
  ::unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(contents_of(first() / "dataset"), contents_of(scratch_->path() / "threads/dataset"));
}

TEST_F(Curate, KilledAndStartedAgainContinuesAndGivesTheSameBytes) {
  const fs::path dir = scratch_->path() / "killed";
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(ends[0]);
    jobs::ReportChannel report(ends[1]);
    run_curate(options_for(*pool_), dir, report);
    ::_exit(0);
  }
  ::close(ends[1]);
  // The first chunk is on disk when its progress is told; the rank is killed there and then.
  std::string told;
  char piece[512];
  while (told.find("\"step\":128") == std::string::npos) {
    const ssize_t count = ::read(ends[0], piece, sizeof piece);
    ASSERT_GT(count, 0) << "the rank ended before its first chunk: " << told;
    told.append(piece, static_cast<std::size_t>(count));
  }
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::close(ends[0]);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_FALSE(fs::exists(dir / "dataset"));
  ASSERT_TRUE(fs::exists(dir / "work/prepared-000000"));

  ASSERT_EQ(::pipe(ends), 0);
  {
    jobs::ReportChannel report(ends[1]);
    run_curate(options_for(*pool_), dir, report);
  }
  ::close(ends[1]);
  told.clear();
  for (ssize_t count; (count = ::read(ends[0], piece, sizeof piece)) > 0;)
    told.append(piece, static_cast<std::size_t>(count));
  ::close(ends[0]);
  EXPECT_NE(told.find("\"reused\":128"), std::string::npos) << told;
  EXPECT_EQ(contents_of(first() / "dataset"), contents_of(dir / "dataset"));
  EXPECT_FALSE(fs::exists(dir / "work"));
}

TEST_F(Curate, SeedFoldersThatAreNotThereAreRefused) {
  spec::CurateOptions options = options_for(*pool_);
  options.selection.seeds = {"animal"};
  EXPECT_THROW(curate(options, scratch_->path() / "refused"), std::invalid_argument);
}

TEST_F(Curate, ASeedFolderKeepsItselfAndWhatIsNear) {
  spec::CurateOptions options = options_for(*pool_);
  options.selection.seeds = {"animals"};
  options.selection.neighbours = 1;
  curate(options, scratch_->path() / "seeds");
  std::map<std::string, int> stages;
  for (const auto& [path, line] : provenance_of(scratch_->path() / "seeds")) {
    ++stages[line["stage"]];
    if (line["stage"] != "seed" && line["stage"] != "neighbour") continue;
    EXPECT_TRUE(line.value("partner", path).starts_with("animals/")) << line;
  }
  EXPECT_GT(stages["seed"], 20);
  EXPECT_GT(stages["neighbour"], 0);
  EXPECT_LE(stages["neighbour"], stages["seed"]);
  EXPECT_GT(stages["not_selected"], 20);
}

TEST_F(Curate, AFinishedDatasetIsReportedAgainAndNotMistakenForAnother) {
  const auto before = fs::last_write_time(first() / "dataset/dataset.json");
  curate(options_for(*pool_), first());
  EXPECT_EQ(fs::last_write_time(first() / "dataset/dataset.json"), before);
  spec::CurateOptions other = options_for(*pool_);
  other.seed = 1;
  EXPECT_THROW(curate(other, first()), std::invalid_argument);
}

TEST(CurateOptions, AnOptionThatIsNotKnownOrOutOfBoundsIsNamed) {
  const auto options = spec::curate_table().parse(
      {{"pool", "p"}, {"held_out", {{"shar", .1}}}, {"decode", {{"max_side", 4}}}});
  ASSERT_FALSE(options.has_value());
  std::set<std::string> paths;
  for (const spec::Problem& problem : options.error()) paths.insert(problem.path);
  EXPECT_EQ(paths, (std::set<std::string>{"decode.max_side", "held_out.shar"}));
}

TEST(PreparedPictures, AChunkThatIsDamagedOrOfOtherRulesIsMadeAgain) {
  const ScratchFolder scratch("paddock-chunk");
  const fs::path path = scratch.path() / "prepared-000000";
  const std::vector<std::byte> png = data::encode_png(drawn_picture(1, 50, 40));
  const PreparedPicture picture = prepare_picture(png, {});
  ASSERT_EQ(picture.refused, "");
  write_chunk(path, "key", {picture, prepare_picture(std::vector<std::byte>(9), {})});
  const auto chunk = read_chunk(path, "key");
  ASSERT_TRUE(chunk.has_value());
  EXPECT_EQ(chunk->pictures[0].png, picture.png);
  EXPECT_EQ(chunk->pictures[0].descriptor, picture.descriptor);
  EXPECT_FALSE(chunk->pictures[1].refused.empty());
  EXPECT_FALSE(read_chunk(path, "another key").has_value());
  std::string bytes = text_of(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_FALSE(read_chunk(path, "key").has_value());
}

}  // namespace
}  // namespace paddock::curate
