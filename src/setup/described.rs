//! A model as catalogues describe it: columns, digests, and what made the rows.

use std::collections::BTreeMap;

use starmill_onnx::Runtime;

use super::Ready;
use crate::catalogue::{
    CatalogueError, LabelColumn, ModelColumns, Provenance, Schema, VectorColumn, sha256_of_file,
};
use crate::survey::GAIA_XP;

impl Ready {
    /// The columns of a catalogue of this model.
    pub fn schema(&self) -> Schema {
        let manifest = &self.model.manifest;
        let labels = manifest.labels.iter().map(|label| LabelColumn {
            name: label.name.clone(),
            unit: label.unit.clone(),
            ucd: label.ucd.clone(),
            description: label.description.clone(),
            alias: label.alias.clone().unwrap_or_default(),
        });
        let derived = manifest.derived.iter().map(|derived| LabelColumn {
            name: derived.name.clone(),
            unit: derived.unit.clone(),
            ucd: derived.ucd.clone(),
            description: derived.description.clone(),
            alias: String::new(),
        });
        let spec = &manifest.output;
        let factor = spec.covariance.as_ref().map(|covariance| VectorColumn {
            name: "cov_factor".into(),
            ucd: "stat.covariance".into(),
            description: "F: cov = F^T F + diag(err^2 - sum F^2), see the docs".into(),
            shape: vec![covariance.rank, manifest.labels.len()],
            ..VectorColumn::default()
        });
        let further = self.labels.columns.iter().map(|&index| {
            let column = &spec.columns[index];
            VectorColumn {
                name: column.name.clone(),
                unit: column.unit.clone(),
                ucd: column.ucd.clone(),
                description: column.description.clone(),
                shape: column.shape.clone(),
                integer: column.integer,
            }
        });
        let of_companion =
            self.companion.iter().flat_map(|companion| companion.columns(self.spectra));
        let of_fit = self.fit.iter().flat_map(|fit| fit.columns(self.spectra));
        let columns = ModelColumns {
            labels: labels.chain(derived).collect(),
            errors: spec.sigma.is_some(),
            vectors: factor.into_iter().chain(further).chain(of_companion).chain(of_fit).collect(),
        };
        let schema = Schema::of_model(&self.id(), &columns);
        let schema = if self.takes_medium() { schema.with_medium() } else { schema };
        if self.takes(GAIA_XP) { schema.with_gaia() } else { schema }
    }

    /// SHA-256 of the model's files, by name; opening has compared all but the manifest itself.
    ///
    /// # Errors
    /// [`CatalogueError::Io`] when the manifest cannot be read any more.
    pub fn file_digests(&self) -> Result<BTreeMap<String, String>, CatalogueError> {
        const MANIFEST: &str = "manifest.toml";
        let manifest = sha256_of_file(&self.model.dir.join(MANIFEST))?;
        let files = self.model.manifest.files.iter();
        let mut digests: BTreeMap<String, String> = files
            .map(|file| (file.path.display().to_string(), file.sha256.clone()))
            .chain([(MANIFEST.to_owned(), manifest)])
            .collect();
        if let Some(model) = self.companion.as_ref().map(|companion| companion.model()) {
            let name = |file: &str| format!("{}/{file}", model.manifest.name);
            digests.insert(name(MANIFEST), sha256_of_file(&model.dir.join(MANIFEST))?);
            let files = model.manifest.files.iter();
            digests.extend(
                files.map(|file| (name(&file.path.display().to_string()), file.sha256.clone())),
            );
        }
        Ok(digests)
    }

    /// What made the rows, for the headers of the catalogue.
    pub fn provenance(&self, runtime: &Runtime, provider: &str) -> Provenance {
        self.provenance_with(runtime.version(), runtime.sha256(), provider)
    }

    /// The same for a library of this version and SHA-256, which need not be here.
    pub fn provenance_with(&self, version: &str, sha256: &str, provider: &str) -> Provenance {
        let manifest = &self.model.manifest;
        let entry = |keyword: &str, value: &str, comment: &str| {
            (keyword.to_owned(), value.to_owned(), comment.to_owned())
        };
        let requested = self.requested().join(",");
        let requested = (!requested.is_empty()).then(|| entry("COLUMNS", &requested, "on request"));
        let companion = self.companion.as_ref().map(|companion| {
            let manifest = &companion.model().manifest;
            [
                entry("FORWARD", &manifest.name, "forward model of chi2"),
                entry("FORWVER", &manifest.version, "its version"),
                entry("FORWSHA", companion.model().onnx_sha256(), ""),
                entry("ASSUMED", &companion.assumed().join(","), "its labels that follow iron"),
            ]
        });
        let entries = vec![
            entry("CREATOR", concat!("starmill ", env!("CARGO_PKG_VERSION")), "software"),
            entry("MODEL", &manifest.name, "model"),
            entry("MODELVER", &manifest.version, "version of the model"),
            entry("MODELSHA", self.model.onnx_sha256(), ""),
            entry("RECIPE", &recipe_names(&manifest.recipe), "preprocessing steps"),
            entry("ORTVER", version, "version of ONNX Runtime"),
            entry("ORTSHA", sha256, ""),
            entry("PROVIDER", provider, "where the model ran"),
        ];
        let spectra = self.spectra.then(|| entry("SPECTRA", "yes", "model spectra are columns"));
        Provenance {
            entries: entries
                .into_iter()
                .chain(requested)
                .chain(companion.into_iter().flatten())
                .chain(spectra)
                .collect(),
        }
    }
}

/// The steps of a recipe by name, in order.
pub fn recipe_names(recipe: &[toml::Table]) -> String {
    let names = recipe.iter().filter_map(|step| step.get("step")?.as_str());
    names.collect::<Vec<_>>().join(", ")
}
