//! The files that a person writes: the configuration (first byte `c`) and a model's manifest.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use starmill::config::Config;
use starmill::prep::Recipe;
use starmill_fuzz::budget;
use starmill_onnx::Model;

/// A folder for the two files; both are read by name.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("starmill-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
});

/// The largest grid of bins that a recipe may ask for, with the tables of a parsed file.
const MOST: usize = 16 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, text)) = bytes.split_first() else {
        return;
    };
    let name = if *kind == b'c' { "config.toml" } else { "manifest.toml" };
    let path = FOLDER.join(name);
    fs::write(&path, text).expect("a temporary file");
    budget::within(256 * text.len() + MOST, || match kind {
        b'c' => {
            let (first, second) = (Config::load(Some(&path)), Config::load(Some(&path)));
            match (first, second) {
                (Ok(first), Ok(second)) => assert_eq!(format!("{first:?}"), format!("{second:?}")),
                (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
                (first, second) => panic!("{first:?} is not {second:?}"),
            }
        }
        _ => {
            if let Ok(model) = Model::open(&*FOLDER) {
                let pixels = model.manifest.input.pixels;
                if let Ok(recipe) = Recipe::parse(&model.manifest.recipe, pixels, None) {
                    assert_eq!(recipe.grid().bins(), pixels);
                    assert!(recipe.grid().edges().is_sorted());
                }
            }
        }
    });
});
