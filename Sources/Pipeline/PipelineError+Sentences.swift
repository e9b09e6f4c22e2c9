extension PipelineError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unmatchedSelectors(let diagnostics):
      diagnostics.map { "\($0)" }.joined(separator: "\n")
    case .strictGroup(let tensor, let requested, let width):
      "group \(requested) does not divide the \(width) inputs of '\(tensor)' and the recipe says "
        + "strict_groups; choose a group that divides, or an override for this tensor"
    case .notRunnable(let tensor, let rows, let columns, let reason):
      "the recipe calibrates '\(tensor)' (\(rows) × \(columns)), and the model cannot be run to "
        + "gather statistics: \(reason); name a file of them with --statistics, or take a method "
        + "that needs none (rtn)"
    case .notCalibratable(let tensor, let rows, let columns):
      "the recipe calibrates '\(tensor)' (\(rows) × \(columns)), which is no linear layer of a "
        + "block and no head, so that nothing is known of its inputs; leave it out with 'ignore', "
        + "or give it a method that needs no statistics in an override"
    case .lookedUp(let tensor, let stage):
      "'\(tensor)' is a table whose rows are looked up, not multiplied, so that '\(stage)' has "
        + "nothing to be calibrated on; give it a method that needs no statistics in an override"
    case .statisticsNeeded(let tensor, let rows, let columns):
      "the recipe has to know the inputs of '\(tensor)' (\(rows) × \(columns)) before it starts and "
        + "no statistics were given; gather them with 'pith calibrate' and name the file with "
        + "--statistics"
    case .editNeedsStatistics(let stage):
      "the recipe's '\(stage)' needs to know the inputs of every layer and no statistics were "
        + "given; gather them with 'pith calibrate' and name the file with --statistics"
    case .editImpossible(let stage, let path, let reason):
      "the recipe's '\(stage)' is impossible for '\(path)': \(reason); "
        + "leave the stage out for this model"
    case .search(let reason): reason
    case .statisticsMissing(let tensor, let rows, let columns, let path):
      "'\(path)' has no statistics of the input of '\(tensor)' (\(rows) × \(columns)); gather them "
        + "on this model, or leave the tensor out with 'ignore'"
    case .tuning(let reason): reason
    case .statisticsWithoutGram(let tensor, let columns, let path):
      "'\(path)': no Gram matrix for '\(tensor)', only sums; expected \(columns) × \(columns); "
        + "gather the statistics again"
    case .rankTooLarge(let tensor, let rank, let limit):
      "rank \(rank) is more than '\(tensor)' has (\(limit)); lower it, or override this tensor"
    case .tooManyOutliers(let tensor, let count, let columns):
      "\(count) outlier columns are asked of '\(tensor)', which has \(columns) inputs; keep fewer"
    case .patternDoesNotFit(let tensor, let kept, let of, let columns):
      "the pattern \(kept):\(of) does not fit '\(tensor)': its \(columns) inputs are no multiple of "
        + "\(of); ignore this tensor or override its pattern"
    case .calibrationMemory(let needed, let limit):
      "calibration needs \(Self.mebibytes(needed)) of memory beside the hidden states, the limit is "
        + "\(Self.mebibytes(limit)); raise --memory, or take statistics from a file (--statistics)"
    case .memoryTooSmall(let needed, let limit, let tensor):
      "'\(tensor)' needs \(Self.mebibytes(needed)) of memory at its peak, the limit is "
        + "\(Self.mebibytes(limit)); raise --memory, or ignore this tensor"
    case .diskTooSmall(let needed, let free, let folder):
      "the run needs about \(Self.mebibytes(needed)) of disk in '\(folder)', "
        + "\(Self.mebibytes(free)) are free; make room or choose another --output"
    case .outputExists(let path):
      "'\(path)' exists; pass --force to replace it when the run has succeeded"
    case .outputIsModel(let path):
      "the output '\(path)' is the model itself; choose another --output"
    case .unfinishedRun(let folder):
      "'\(folder)' holds an unfinished run; go on with --resume, or pass --force to start over"
    case .nothingToResume(let folder):
      "there is no unfinished run to resume ('\(folder)' does not exist) and the output exists; pass "
        + "--force to replace it"
    case .changedSinceJournal(let folder, let what, let then, let now):
      "the unfinished run in '\(folder)' cannot be resumed: \(what) was \(then) and is now \(now); "
        + "restore it, or start over with --force"
    case .workFolderBusy(let folder):
      "another process is working in '\(folder)'; wait for it or stop it"
    case .damagedJournal(let path, let reason):
      "the journal '\(path)' is damaged (\(reason)); start over with --force"
    case .nonFinite(let file, let tensor, let index):
      "'\(file)': tensor '\(tensor)' holds a NaN or an infinity at element \(index); an artefact "
        + "never does: repair the checkpoint"
    case .stage(let file, let tensor, let reason):
      "'\(file)': tensor '\(tensor)': \(reason)"
    case .diskFull(let path, let reason):
      "'\(path)': \(reason); make room and go on with --resume"
    case .file(let path, let reason): "'\(path)': \(reason)"
    case .interrupted(let folder):
      "stopped safely; the finished tensors are in '\(folder)': the same command with --resume "
        + "goes on"
    case .shapeMismatch(let tensor, let artefact, let model, let path):
      "tensor '\(tensor)' is \(artefact) in the artefact and \(model) in '\(path)'; validate "
        + "against the model that the artefact was made from"
    case .valuesDiffer(let tensor, let path):
      "tensor '\(tensor)' is stored as it is, and not as '\(path)' has it; validate against the "
        + "model that the artefact was made from"
    case .keyValueCacheDiffers(let path, let recipe, let header):
      "'\(path)': its recipe keeps keys and values as '\(recipe ?? "exact")', its header as "
        + "'\(header ?? "exact")'; the artefact is damaged, compress again"
    case .tensorMissing(let tensor, let path):
      "'\(path)' has no tensor '\(tensor)', which the other holds; validate against the model that "
        + "the artefact was made from"
    }
  }

  private static func mebibytes(_ bytes: Int) -> String {
    "\((bytes + (1 << 20) - 1) >> 20) MiB"
  }
}
