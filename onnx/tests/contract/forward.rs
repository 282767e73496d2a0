//! A forward model gives spectra and derivatives, and says what does not fit.

use std::fs;

use ndarray::{Array2, Axis, array, s};
use starmill_onnx::{
    AnyModel, EngineError, ForwardEngine, ForwardModel, Kind, Model, ModelError, Normalisation,
    list,
};

use crate::fixture::{Folder, cpu, runtime, sha256};

fn open(edits: &[(&str, &str)]) -> Result<ForwardModel, ModelError> {
    ForwardModel::open(Folder::forward(edits).path())
}

/// Labels that differ from row to row, inside the box.
fn labels(rows: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, 3), |(row, label)| {
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let part = (7 * row + 3 * label) as f32 % 11.0 / 11.0;
        [3700.0 + 2200.0 * part, 5.0 * part, 3.0 * part - 2.5][label]
    })
}

#[test]
fn a_good_folder_opens_with_every_field() {
    let folder = Folder::forward(&[]);
    let model = ForwardModel::open(folder.path()).unwrap();
    model.check_files().unwrap();
    let manifest = &model.manifest;
    assert_eq!((manifest.kind, manifest.name.as_str()), (Kind::Forward, "tiny_forward"));
    assert_eq!(manifest.spectrum.normalisation, Normalisation::Continuum {});
    assert_eq!(manifest.defaults(), [4800.0, 2.5, 0.0]);
    assert_eq!(manifest.position("fe_h"), Some(2));
    assert_eq!(manifest.fit.as_ref().unwrap().starts.len(), 2);
    let wavelength = model.wavelength().unwrap();
    assert_eq!((wavelength.len(), wavelength[0], wavelength[32]), (33, 6532.0, 6596.0));
    assert_eq!(model.model_error().unwrap(), [0.005; 33]);
    assert_eq!(model.golden().unwrap().cases.len(), 3);
    let label = &manifest.labels[0];
    for (value, inside) in [(3700.0, true), (5900.0, true), (5900.1, false), (f64::NAN, false)] {
        assert_eq!(label.contains(value), inside, "{value}");
    }
}

#[test]
fn a_model_of_the_other_kind_is_refused_by_its_kind() {
    let (forward, regressor) = (Folder::forward(&[]), Folder::with(&[]));
    let error = Model::open(forward.path()).unwrap_err();
    assert!(matches!(error, ModelError::Kind { found: Kind::Forward, .. }), "{error}");
    assert!(error.to_string().contains("name a model that estimates labels"), "{error}");
    let error = ForwardModel::open(regressor.path()).unwrap_err();
    assert!(matches!(error, ModelError::Kind { found: Kind::Regressor, .. }), "{error}");
    assert!(error.to_string().contains("name a forward model"), "{error}");
    assert!(AnyModel::open(forward.path()).unwrap().forward().is_some());
    assert!(AnyModel::open(regressor.path()).unwrap().regressor().is_some());
    let named = Folder::with(&[("schema = 1", "schema = 1\nkind = \"regressor\"")]);
    assert!(Model::open(named.path()).is_ok());
    let other = Folder::with(&[("schema = 1", "schema = 1\nkind = \"emulator\"")]);
    let error = AnyModel::open(other.path()).unwrap_err().to_string();
    assert!(error.contains("unknown variant `emulator`"), "{error}");
}

#[test]
fn a_list_holds_both_kinds() {
    let parent = tempfile::tempdir().unwrap();
    for (name, folder) in [("a", Folder::forward(&[])), ("b", Folder::with(&[]))] {
        fs::create_dir(parent.path().join(name)).unwrap();
        fs::copy(
            folder.path().join("manifest.toml"),
            parent.path().join(name).join("manifest.toml"),
        )
        .unwrap();
    }
    let models: Vec<_> = list(parent.path()).unwrap().into_iter().map(Result::unwrap).collect();
    assert!(matches!(models.as_slice(), [AnyModel::Forward(_), AnyModel::Regressor(_)]));
    assert!(models[0].dir().ends_with("a"));
}

#[test]
fn a_manifest_that_does_not_hold_together_is_refused() {
    let check = |from: &str, to: &str, expected: &str| {
        let error = open(&[(from, to)]).unwrap_err().to_string();
        assert!(error.contains("manifest.toml"), "no file in: {error}");
        assert!(error.contains(expected), "{expected} is not in: {error}");
    };
    check("schema = 1", "schema = 2", "schema is 2, this program reads 1");
    check("\"tiny_forward\"", "\"Tiny\"", "name \"Tiny\" is not a name");
    check("\"tiny_forward\"", "\"-tiny\"", "with a letter first");
    check("version = ", "verson = ", "unknown field `verson`");
    check("default = 4800.0", "default = 3000.0", "default of label teff is 3000");
    check("step = 100.0", "step = 0.0", "step of label teff is 0");
    check("valid = [0.0, 5.0]", "valid = [5.0, 0.0]", "valid of label logg is [5, 0]");
    check("\"logg\"", "\"teff\"", "label \"teff\" is named twice");
    check("pixels = 33", "pixels = 1", "spectrum.pixels is 1");
    check("pixels = 33", "pixels = 1000000000", "give 2 to 131072 pixels");
    check("kind = \"continuum\"", "kind = \"gaussian\", fwhm = -1.0", "normalisation.fwhm is -1");
    check("kind = \"continuum\"", "kind = \"gaussian\"", "missing field `fwhm`");
    check("kind = \"continuum\"", "kind = \"continuum\", fwhm = 1.0", "unknown field");
    check("resolving_power = 1800.0\n", "", "spectrum.resolving_power is missing");
    check("\"logg\"", "\"resolution\"", "exclude each other");
    check("[4000.0, 1.0, -1.0]", "[4000.0, 1.0]", "point 1 of fit.starts has 2 values");
    check("[4000.0, 1.0, -1.0]", "[4000.0, 1.0, 1.0]", "has 1 for fe_h, outside");
    check("max_iterations = 30", "max_iterations = 0", "fit.max_iterations is 0");
    check("limit = [1.15, 4.0]", "limit = [inf, 4.0]", "a limit of fit is negative or not finite");
    let skip = "max_iterations = 30\nskip = [[6000.0, 5000.0]]";
    check("max_iterations = 30", skip, "a range of fit.skip is [6000, 5000]");
    check("tolerance = 1e-5", "tolerance = nan", "golden.tolerance must be");
    check("path = \"forward.f64\"", "path = \"../x\"", "leaves the model folder");
}

#[test]
fn files_with_a_number_for_each_pixel_are_checked() {
    let check = |bytes: Vec<u8>, expected: &str| {
        let folder = Folder::forward(&[("<forward.f64>", &sha256(&bytes))]);
        fs::write(folder.path().join("forward.f64"), bytes).unwrap();
        let error = ForwardModel::open(folder.path()).unwrap().wavelength().unwrap_err();
        assert!(matches!(error, ModelError::Pixels { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected} is not in: {error}");
    };
    let grid = |change: &dyn Fn(&mut Vec<f64>)| {
        let mut values: Vec<f64> = (0..33).map(|at| 6500.0 + f64::from(at)).collect();
        change(&mut values);
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()
    };
    check(grid(&|values| values.truncate(32)), "256 bytes where 33 pixels take 264");
    check(grid(&|values| values.swap(3, 4)), "increasing");
    check(grid(&|values| values[4] = values[3]), "increasing");
    check(grid(&|values| values[32] = f64::NAN), "finite");
    check(grid(&|values| values[0] = -1.0), "positive");

    let errors: Vec<u8> = [0.25f32; 33].iter().flat_map(|value| value.to_le_bytes()).collect();
    let entry = format!(
        "[files]\nmodel_error = {{ path = \"errors.f32\", sha256 = \"{}\" }}",
        sha256(&errors)
    );
    let folder = Folder::forward(&[("[files]", &entry)]);
    fs::write(folder.path().join("errors.f32"), &errors).unwrap();
    let model = ForwardModel::open(folder.path()).unwrap();
    model.check_files().unwrap();
    assert_eq!(model.model_error().unwrap(), [0.25; 33]);
}

#[test]
fn the_golden_cases_hold_flux_and_jacobian() {
    let Some(runtime) = runtime() else { return };
    let folder = Folder::forward(&[]);
    let model = ForwardModel::open(folder.path()).unwrap();
    let golden = model.golden().unwrap();
    let mut engine = ForwardEngine::open_with_jacobian(runtime, &model, &cpu(4)).unwrap();
    assert_eq!(engine.provider(), "CPUExecutionProvider");
    assert!(engine.verify(&golden).unwrap().share < 0.5);
    let mut check = |change: &dyn Fn(&mut starmill_onnx::ForwardCase), case: usize, name: &str| {
        let mut changed = golden.clone();
        change(&mut changed.cases[case]);
        let error = engine.verify(&changed).unwrap_err();
        let EngineError::GoldenMismatch { worst, .. } = error else { panic!("{error}") };
        assert_eq!((worst.case, worst.label.as_str()), (case, name));
    };
    check(&|case| case.flux[7] += 1e-3, 2, "flux");
    check(&|case| case.flux[7] = f64::NAN, 1, "flux");
    check(&|case| case.jacobian.as_mut().unwrap()[1][3] += 1e-3, 0, "the derivative to logg");

    let mut foreign = golden.clone();
    foreign.cases[0].labels.pop();
    let error = engine.verify(&foreign).unwrap_err();
    assert!(matches!(error, EngineError::ForeignGolden { .. }), "{error}");
    // Without the Jacobian the flux alone is held to the cases.
    let mut flux_alone = ForwardEngine::open(runtime, &model, &cpu(4)).unwrap();
    assert!(flux_alone.verify(&golden).unwrap().share < 0.5);
}

#[test]
fn a_row_depends_neither_on_its_neighbours_nor_on_its_place() {
    let Some(runtime) = runtime() else { return };
    let model = open_kept();
    let mut engine = ForwardEngine::open_with_jacobian(runtime, &model.1, &cpu(8)).unwrap();
    let input = labels(8);
    let full = engine.run_with_jacobian(input.view()).unwrap();
    assert_eq!((full.flux.dim(), full.jacobian.dim()), ((8, 33), (8, 3, 33)));
    assert_eq!(engine.run(input.view()).unwrap(), full.flux);
    for row in 0..8 {
        let alone = engine.run_with_jacobian(input.slice(s![row..=row, ..])).unwrap();
        assert_eq!(alone.flux.row(0), full.flux.row(row), "{row}");
        let jacobian = full.jacobian.index_axis(Axis(0), row);
        assert_eq!(alone.jacobian.index_axis(Axis(0), 0), jacobian, "{row}");
    }
}

#[test]
fn derivatives_are_those_of_the_flux() {
    let Some(runtime) = runtime() else { return };
    let model = open_kept();
    let mut engine = ForwardEngine::open_with_jacobian(runtime, &model.1, &cpu(2)).unwrap();
    let at = array![[4700.0f32, 2.0, -0.75]];
    let tangent = engine.run_with_jacobian(at.view()).unwrap();
    for (label, step) in [40.0f32, 0.0625, 0.0625].into_iter().enumerate() {
        let mut pair = ndarray::concatenate![Axis(0), at, at];
        pair[[0, label]] -= step;
        pair[[1, label]] += step;
        let flux = engine.run(pair.view()).unwrap();
        for pixel in 0..33 {
            let expected = flux[[1, pixel]] - flux[[0, pixel]];
            let found = 2.0 * step * tangent.jacobian[[0, label, pixel]];
            assert!((expected - found).abs() < 1e-4, "{label} {pixel}: {expected} {found}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_the_engine_goes_on() {
    let Some(runtime) = runtime() else { return };
    let model = open_kept();
    let mut engine = ForwardEngine::open(runtime, &model.1, &cpu(4)).unwrap();
    for (rows, width) in [(0, 3), (5, 3), (2, 2), (2, 4)] {
        let error = engine.run(Array2::zeros((rows, width)).view()).unwrap_err();
        assert!(error.to_string().ends_with("send 1 to 4 rows of 3 labels"), "{error}");
    }
    assert!(!engine.gives_jacobian());
    let error = engine.run_with_jacobian(labels(2).view()).unwrap_err();
    assert!(matches!(error, EngineError::NoJacobian { .. }), "{error}");
    assert!(engine.run(labels(4).view()).is_ok());

    let graph = |edits: &[(&str, &str)], expected: &str| {
        let folder = Folder::forward(edits);
        let model = ForwardModel::open(folder.path()).unwrap();
        let error = ForwardEngine::open_with_jacobian(runtime, &model, &cpu(4)).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected} is not in: {error}");
    };
    graph(&[("pixels = 33", "pixels = 34")], "where [4, 34] is needed");
    graph(&[("name = \"labels\"", "name = \"stars\"")], "input \"stars\" is not among");
    graph(&[("flux = \"flux\"", "flux = \"spectrum\"")], "\"spectrum\"");
    graph(&[("jacobian = \"jacobian\"", "jacobian = \"slope\"")], "\"slope\" is not among");
    graph(&[("jacobian = \"jacobian\"\n", "")], "not opened with a Jacobian");
}

#[test]
fn a_name_may_have_a_dash() {
    let model = open(&[("\"tiny_forward\"", "\"tiny-forward\"")]).unwrap();
    assert_eq!(model.manifest.name, "tiny-forward");
}

fn open_kept() -> (Folder, ForwardModel) {
    let folder = Folder::forward(&[]);
    let model = ForwardModel::open(folder.path()).unwrap();
    (folder, model)
}
